import type { Block } from '../rows.ts'

/**
 * Integers and booleans to COPY binary.
 *
 * Shape: every encoder of this folder writes a field (length, value) at `at` and returns the offset behind it, or
 *        NOT_CANONICAL when the text is not in a form that is certain to mean the same to PostgreSQL.
 */
export const NOT_CANONICAL = -1

const TWO_32 = 4294967296

/** Writes the 8-byte field of `high * 2^32 + low`. */
export function putInt64Field(out: Block, at: number, high: number, low: number): number {
  out.view.setInt32(at, 8)
  out.view.setInt32(at + 4, high)
  out.view.setInt32(at + 8, low)
  return at + 12
}

export function encodeInt2(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  const value = smallInteger(bytes, from, to)
  if (!(value >= -32768 && value <= 32767)) return NOT_CANONICAL
  out.view.setInt32(at, 2)
  out.view.setInt16(at + 4, value)
  return at + 6
}

export function encodeInt4(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  if (to - from <= 9 && from < to && bytes[from] !== 45) {
    let small = 0
    for (let i = from; i < to; i++) {
      const digit = bytes[i]! - 48
      if (digit < 0 || digit > 9) return NOT_CANONICAL
      small = (small * 10 + digit) | 0
    }
    out.view.setInt32(at, 4)
    out.view.setInt32(at + 4, small)
    return at + 8
  }
  const value = smallInteger(bytes, from, to)
  if (!(value >= -2147483648 && value <= 2147483647)) return NOT_CANONICAL
  out.view.setInt32(at, 4)
  out.view.setInt32(at + 4, value)
  return at + 8
}

export function encodeInt8(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  if (to - from > 15) return encodeLongInt8(bytes, from, to, out, at)
  const value = smallInteger(bytes, from, to)
  if (Number.isNaN(value)) return NOT_CANONICAL
  return putInt64Field(out, at, Math.floor(value / TWO_32), value >>> 0)
}

/** The integer in at most 15 bytes of text, exact as a double; NaN when it is anything else. */
function smallInteger(bytes: Uint8Array, from: number, to: number): number {
  const negative = bytes[from] === 45
  let i = negative ? from + 1 : from
  if (i >= to || to - from > 15) return NaN
  let value = 0
  for (; i < to; i++) {
    const digit = bytes[i]! - 48
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  return negative ? -value : value
}

/** Up to 19 digits in two 32-bit halves: beyond 2^53 a double no longer counts every integer. */
function encodeLongInt8(
  bytes: Uint8Array,
  from: number,
  to: number,
  out: Block,
  at: number,
): number {
  const negative = bytes[from] === 45
  let high = 0
  let low = 0
  for (let i = negative ? from + 1 : from; i < to; i++) {
    const digit = bytes[i]! - 48
    if (digit < 0 || digit > 9) return NOT_CANONICAL
    low = low * 10 + digit
    const carry = Math.floor(low / TWO_32)
    low -= carry * TWO_32
    high = high * 10 + carry
    if (high > 0x7fffffff) return NOT_CANONICAL
  }
  if (!negative) return putInt64Field(out, at, high, low)
  return low === 0
    ? putInt64Field(out, at, -high, 0)
    : putInt64Field(out, at, -high - 1, TWO_32 - low)
}

/** Booleans in the words that boolin() takes whole and in lower case. */
export function encodeBool(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  const value = booleanOf(bytes, from, to)
  if (value < 0) return NOT_CANONICAL
  out.view.setInt32(at, 1)
  out.view.setInt8(at + 4, value)
  return at + 5
}

const WORDS = new Map([
  ['true', 1],
  ['false', 0],
  ['yes', 1],
  ['no', 0],
  ['on', 1],
  ['off', 0],
])

function booleanOf(bytes: Uint8Array, from: number, to: number): number {
  const length = to - from
  const first = bytes[from]
  if (length === 1) {
    if (first === 116 || first === 49 || first === 121) return 1
    return first === 102 || first === 48 || first === 110 ? 0 : -1
  }
  if (length < 2 || length > 5) return -1
  return WORDS.get(String.fromCharCode(...bytes.subarray(from, to))) ?? -1
}
