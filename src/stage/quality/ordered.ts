import type { Result } from '../../chunk/value.ts'
import { instant, timestampText } from '../compare.ts'
import { compareDecimals, decimalOf } from '../decimal.ts'

/** What the values of a column are in the order of: numbers, ISO times without a zone, or moments. */
export type Order = 'number' | 'time' | 'instant'

/** Text of a decimal this short is in the order of its number as a double. */
const SHORT = 15

/** A place in an order. */
export interface Ordered {
  /** As a number, where that is enough to compare it; else NaN. */
  readonly near: number
  readonly text: string
}

/** The place of a value; null for one that has none for certain. */
export function orderedOf(value: Result, order: Order): Ordered | null {
  switch (order) {
    case 'number':
      return numberOf(value)
    case 'time': {
      const text = timestampText(typeof value === 'string' ? value.replace(/Z$/, '') : value)
      return text === null ? null : { near: NaN, text }
    }
    case 'instant': {
      const moment = instant(value)
      return moment === null ? null : { near: moment, text: String(moment) }
    }
  }
}

export function compareOrdered(a: Ordered, b: Ordered, order: Order): number {
  if (a.near < b.near) return -1
  if (a.near > b.near) return 1
  if (a.near === b.near) return 0
  return order === 'number'
    ? compareNumbers(a.text, b.text)
    : a.text < b.text
      ? -1
      : a.text > b.text
        ? 1
        : 0
}

function numberOf(value: Result): Ordered | null {
  if (typeof value === 'number') return { near: value, text: String(value) }
  const text =
    typeof value === 'bigint' ? String(value) : typeof value === 'string' ? value.trim() : ''
  if (rankOf(text) !== FINITE) return { near: NaN, text }
  if (
    text === '' ||
    (text.length > SHORT ? decimalOf(text) === null : Number.isNaN(Number(text)))
  ) {
    return null
  }
  return { near: text.length > SHORT ? NaN : Number(text), text }
}

/** As PostgreSQL orders them: NaN behind all others. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [rankOf(a), rankOf(b)]
  if (left !== FINITE || right !== FINITE) return left - right
  return compareDecimals(decimalOf(a)!, decimalOf(b)!)
}

const FINITE = 0

function rankOf(text: string): number {
  const first = text.charCodeAt(text.startsWith('-') || text.startsWith('+') ? 1 : 0) | 32
  if (first !== 105 && first !== 110) return FINITE // neither i nor n
  if (/^nan$/i.test(text)) return 2
  const sign = /^([+-]?)inf(?:inity)?$/i.exec(text)?.[1]
  return sign === undefined ? FINITE : sign === '-' ? -1 : 1
}
