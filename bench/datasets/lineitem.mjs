// @ts-check
import { isoDate, phrase } from './random.mjs'

const modes = ['AIR', 'RAIL', 'TRUCK', 'MAIL', 'SHIP', 'FOB', 'REG AIR']
const instructions = ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN']

/**
 * TPC-H's lineitem in shape: 16 columns of seven types, 5 % of the rows with a quoted field.
 * @type {import('./random.mjs').Dataset}
 */
export const lineitem = {
  name: 'lineitem',
  version: 1,
  share: 1,
  columns: `l_orderkey bigint, l_partkey int, l_suppkey int, l_linenumber int,
    l_quantity numeric(12,2), l_extendedprice numeric(12,2), l_discount numeric(12,2), l_tax numeric(12,2),
    l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date,
    l_shipinstruct text, l_shipmode text, l_comment text`,
  header:
    'l_orderkey,l_partkey,l_suppkey,l_linenumber,l_quantity,l_extendedprice,l_discount,l_tax,' +
    'l_returnflag,l_linestatus,l_shipdate,l_commitdate,l_receiptdate,l_shipinstruct,l_shipmode,l_comment\n',
  record(row, random) {
    // The comment draws its numbers first: part of what the seed means.
    let comment = phrase(2 + random(6), random)
    if (random(20) === 0) comment = `"${comment}, ""x"" etc"`
    return (
      `${(row >> 2) + 1},${random(2000000)},${random(100000)},${(row & 3) + 1},${1 + random(50)}.00,` +
      `${(random(10000000) / 100).toFixed(2)},0.0${random(10)},0.0${random(9)},` +
      `${'ANR'[random(3)]},${'OF'[random(2)]},${isoDate(random)},${isoDate(random)},${isoDate(random)},` +
      `${instructions[random(4)]},${modes[random(7)]},${comment}\n`
    )
  },
}
