import { BadText } from '../chunk/column.ts'
import type { Result } from '../chunk/value.ts'
import { ConfigError } from '../core/errors.ts'
import { compareDecimals, decimalOf } from './decimal.ts'

/** Says how a value that is not NULL compares with a constant: less than, equal to, or greater than 0. */
export type Compare = (value: Result) => number

/**
 * Compares values of a type with a constant, in the order PostgreSQL has: numbers exactly, times by ISO 8601, text by
 * its characters, as in collation C.
 *
 * Errors: CONFIG_BAD_VALUE for a constant that is none of the type. Of the comparison: BadText for a value whose place
 *         in the order is not certain, as a date in another form than ISO 8601.
 */
export function compareWith(type: string, constant: string): Compare {
  const found = (COMPARES[type] ?? textCompare)(constant)
  if (found !== null) return found
  const message = `${JSON.stringify(constant)} cannot be compared with values of type ${type}`
  throw new ConfigError('CONFIG_BAD_VALUE', message)
}

const INTEGER = /^[+-]?\d+$/
/** Text of a decimal that is no longer than this has at most 15 digits, and doubles keep those apart and in order. */
const EXACT_LENGTH = 15

/** Numbers: as doubles where that is exact, else digit by digit. */
function numberCompare(constant: string): Compare | null {
  const bound = decimalOf(constant)
  if (bound === null) return null
  const near = Number(constant)
  const isNear = constant.length <= EXACT_LENGTH
  return (value) => {
    if (typeof value === 'bigint') return compareDecimals({ digits: value, scale: 0 }, bound)
    const text = typeof value === 'string' ? value.trim() : null
    if (isNear && (text === null || text.length <= EXACT_LENGTH)) {
      const number = text === null ? Number(value) : text === '' ? NaN : Number(text)
      if (number < near) return -1
      if (number > near) return 1
      if (number === near) return 0
    }
    const exact = decimalOf(text ?? String(value))
    if (exact === null) throw new BadText(String(value).length)
    return compareDecimals(exact, bound)
  }
}

/** Small integers, the most frequent of all. */
function integerCompare(constant: string): Compare | null {
  const bound = Number(constant)
  if (!INTEGER.test(constant) || !Number.isSafeInteger(bound)) return numberCompare(constant)
  const general = numberCompare(constant)!
  return (value) => (typeof value === 'number' ? order(value, bound) : general(value))
}

function booleanCompare(constant: string): Compare | null {
  const bound = { t: true, true: true, f: false, false: false }[constant.toLowerCase()]
  if (bound === undefined) return null
  return (value) => {
    if (typeof value !== 'boolean') throw new BadText(String(value).length)
    return order(Number(value), Number(bound))
  }
}

const DATE = /^\d{4}-\d\d-\d\d$/
const TIMESTAMP = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?$/
const ZONED = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,6}))?(Z|[+-]\d\d(?::?\d\d)?)$/i

/** Text of one form is in the order of the time it tells. */
function timeCompare(normalise: (value: Result) => string | number | null) {
  return (constant: string): Compare | null => {
    const bound = normalise(constant)
    if (bound === null) return null
    return (value) => {
      const time = normalise(value)
      if (time === null) throw new BadText(String(value).length)
      return order(time, bound)
    }
  }
}

function dateText(value: Result): string | null {
  if (value instanceof Date) return value.toISOString().slice(0, 10)
  return typeof value === 'string' && DATE.test(value) ? value : null
}

/** Text that is the same for the same time, and in the order of times; null for another form than ISO 8601. */
export function timestampText(value: Result): string | null {
  if (value instanceof Date) return timestampText(value.toISOString().slice(0, -1))
  const parts = typeof value === 'string' ? TIMESTAMP.exec(value) : null
  if (parts === null) return null
  const [, date = '', time = '00:00', seconds = '00', fraction = ''] = parts
  return `${date} ${time}:${seconds}.${fraction.padEnd(6, '0')}`
}

/** Text that is the same for the same moment, for a time with its zone; null for another form than ISO 8601. */
export function instantText(value: Result): string | null {
  const found = instant(value)
  return found === null ? null : `${String(found)} us`
}

/** Microseconds since 1970; null for another form than ISO 8601. */
export function instant(value: Result): number | null {
  if (value instanceof Date) return value.getTime() * 1000
  const parts = typeof value === 'string' ? ZONED.exec(value) : null
  if (parts === null) return null
  const [, date = '', time = '', fraction = '', zone = ''] = parts
  const offset = /^[+-]\d\d$/.test(zone)
    ? `${zone}:00`
    : zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')
  const seconds = Date.parse(`${date}T${time}${offset.toUpperCase()}`)
  return Number.isNaN(seconds) ? null : seconds * 1000 + Number(fraction.padEnd(6, '0'))
}

function textCompare(constant: string): Compare {
  return (value) => order(String(value), constant)
}

function order<T extends number | bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const COMPARES: Readonly<Record<string, (constant: string) => Compare | null>> = {
  int2: integerCompare,
  int4: integerCompare,
  int8: numberCompare,
  float4: numberCompare,
  float8: numberCompare,
  numeric: numberCompare,
  bool: booleanCompare,
  date: timeCompare(dateText),
  timestamp: timeCompare(timestampText),
  timestamptz: timeCompare(instant),
}
