import { addDecimals, decimalOf, decimalText } from '../decimal.ts'
import { compareOrdered, type Order, type Ordered, orderedOf } from './ordered.ts'

/** What is found out about the values of a column; of what nobody asks, nothing. As JSON. */
export interface ColumnFacts {
  readonly nulls: number
  readonly sum?: SumFacts
  readonly least?: ExtremeFacts
  readonly greatest?: ExtremeFacts
}

/** The sum of the exact values, and that of floating-point ones; a text where JSON has no number for it. */
export interface SumFacts {
  readonly exact: string
  readonly double?: number | 'NaN' | 'Infinity' | '-Infinity'
}

/** The least or greatest value; null where all are NULL. */
export interface ExtremeFacts {
  readonly order: Order
  readonly text: string | null
}

export function mergeColumn(a: ColumnFacts, b: ColumnFacts): ColumnFacts {
  return {
    nulls: a.nulls + b.nulls,
    ...(a.sum && b.sum && { sum: mergeSums(a.sum, b.sum) }),
    ...(a.least && b.least && { least: further(a.least, b.least, -1) }),
    ...(a.greatest && b.greatest && { greatest: further(a.greatest, b.greatest, 1) }),
  }
}

function mergeSums(a: SumFacts, b: SumFacts): SumFacts {
  const exact = decimalText(addDecimals(decimalOf(a.exact)!, decimalOf(b.exact)!))
  if (a.double === undefined && b.double === undefined) return { exact }
  return { exact, double: doubleFact(Number(a.double ?? 0) + Number(b.double ?? 0)) }
}

/** A double as JSON has it. */
export function doubleFact(value: number): NonNullable<SumFacts['double']> {
  return Number.isFinite(value) ? value : (String(value) as 'NaN')
}

function further(a: ExtremeFacts, b: ExtremeFacts, sign: 1 | -1): ExtremeFacts {
  if (a.text === null) return b
  if (b.text === null) return a
  return compareOrdered(orderedFact(a), orderedFact(b), a.order) * sign >= 0 ? a : b
}

/** The place of an extreme that is there. */
export function orderedFact({ order, text }: ExtremeFacts): Ordered {
  return order === 'instant' ? { near: Number(text), text: text! } : orderedOf(text, order)!
}
