import type { Result } from '../chunk/value.ts'

/**
 * A value as text, the same on every machine: of a number, bigint or boolean JavaScript's, of a bytea its `\x` form, of a
 * Date ISO 8601, of an array or object JSON.
 */
export function textOf(value: NonNullable<Result>): string {
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
