import { validate } from 'millrace'

/** Six rules that every row keeps. */
export default validate({
  l_orderkey: { required: true },
  l_linenumber: { min: 1, max: 7 },
  l_quantity: { min: 0, max: 50 },
  l_returnflag: { in: ['A', 'N', 'R'] },
  l_shipmode: { length: [3, 10] },
  l_shipinstruct: { pattern: /^[A-Z ]+$/ },
})
