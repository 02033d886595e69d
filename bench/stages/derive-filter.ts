import { derive, filter } from 'millrace'

interface Line {
  readonly l_extendedprice: string
  readonly l_discount: string
  readonly l_linenumber: number
}

/** In whole cents, so that it is the sum PostgreSQL's numeric has. */
function discounted(line: Line): number {
  const cents = Math.round(Number.parseFloat(line.l_extendedprice) * 100)
  const percent = 100 - Math.round(Number.parseFloat(line.l_discount) * 100)
  return Math.round((cents * percent) / 100) / 100
}

export default [
  filter((line: Line) => line.l_linenumber < 7),
  derive({ l_tax: (line: Line) => discounted(line) }),
]
