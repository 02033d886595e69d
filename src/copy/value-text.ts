import type { Result } from '../chunk/value.ts'
import { Kind } from './kinds.ts'

/** A value that a stage or a caller gave and that no column can hold. The message holds no part of it. */
export class BadValue extends TypeError {}

/**
 * The text of a value as PostgreSQL reads it in a column of a kind; null for NULL.
 *
 * Shape:  a string is taken as it is, also for json; arrays are JSON for json and jsonb, else array literals.
 * Errors: BadValue for what has no text: a promise, a function, a symbol, half a surrogate pair.
 */
export function valueText(value: Result, kind: Kind): string | null {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw new BadValue('a string with half a surrogate pair')
      return value
    case 'number':
      return numberText(value, kind)
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'undefined':
      return null
    case 'object':
      return value === null ? null : objectText(value, kind)
    default:
      throw new BadValue(`a ${typeof value}`)
  }
}

/** String() of a number has no sign for -0, which floating-point columns keep. */
export function numberText(value: number, kind: Kind): string {
  const isFloat = kind === Kind.float8 || kind === Kind.float4
  return isFloat && Object.is(value, -0) ? '-0' : String(value)
}

function objectText(value: object, kind: Kind): string {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new BadValue('an invalid Date')
    return value.toISOString()
  }
  if (value instanceof Uint8Array) return hexText(value)
  if (Array.isArray(value) && kind !== Kind.json && kind !== Kind.jsonb) return arrayLiteral(value)
  if (typeof (value as { then?: unknown }).then === 'function') {
    throw new BadValue('a promise: functions of rows are synchronous')
  }
  return jsonText(value)
}

function hexText(bytes: Uint8Array): string {
  const { buffer, byteOffset, length } = bytes
  return `\\x${Buffer.from(buffer, byteOffset, length).toString('hex')}`
}

function jsonText(value: object): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch {
    text = undefined // a bigint or a cycle in it
  }
  if (text === undefined) throw new BadValue('an object that is no JSON')
  return text
}

/** https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO */
function arrayLiteral(items: readonly unknown[]): string {
  const texts = items.map((item) => {
    if (Array.isArray(item)) return arrayLiteral(item)
    const text = valueText(item as Result, Kind.text)
    return text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`
  })
  return `{${texts.join(',')}}`
}
