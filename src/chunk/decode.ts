import type { Value } from './value.ts'

/**
 * Decodes the text of a field, bytes[from, to), to the value a stage sees; undefined where it is none of the type.
 *
 * Shape: `text` is of the same bytes.
 */
export type Decode = (bytes: Buffer, text: AsciiText, from: number, to: number) => Value | undefined

/** Bytes as a string where each of them is ASCII, else null; made when it is first asked for. */
export interface AsciiText {
  readonly ascii: string | null
}

export const NOT_ASCII: AsciiText = { ascii: null }

/** The decoder for a type, by its name in pg_catalog. */
export function decoderOf(typeName: string): Decode {
  return BY_TYPE[typeName] ?? decodeText
}

/** As decoderOf, for a text of the server's; a text that is none of the type stays as it is. */
export function textDecoderOf(typeName: string): (text: string) => Value {
  const decode = decoderOf(typeName)
  if (decode === decodeText) return (text) => text
  return (text) => {
    const bytes = Buffer.from(text)
    const ascii = bytes.length === text.length ? text : null
    return decode(bytes, { ascii }, 0, bytes.length) ?? text
  }
}

/** Up to this length V8 copies a piece of a string; a longer piece would keep the whole string in memory. */
const COPIED = 12

/** What is below Buffer's toString() and its types leave out: an eighth of the time of map() less. */
interface SliceableBuffer extends Buffer {
  latin1Slice(from: number, to: number): string
  utf8Slice(from: number, to: number): string
}

export function decodeText(bytes: Buffer, { ascii }: AsciiText, from: number, to: number): string {
  if (ascii === null) return (bytes as SliceableBuffer).utf8Slice(from, to)
  // A third faster than a slice of the bytes for short text, and nearly all text is.
  return to - from <= COPIED
    ? ascii.substring(from, to)
    : (bytes as SliceableBuffer).latin1Slice(from, to)
}

function decodeInteger(
  bytes: Buffer,
  given: AsciiText,
  from: number,
  to: number,
): number | undefined {
  const negative = bytes[from] === 45
  let i = negative ? from + 1 : from
  if (i < to && to - i <= 15) {
    let value = 0
    for (; i < to; i++) {
      const digit = bytes[i]! - 48
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (i === to) return negative ? 0 - value : value
  }
  const text = decodeText(bytes, given, from, to).trim()
  return INTEGER.test(text) ? Number(text) : undefined
}

function decodeBigint(
  bytes: Buffer,
  given: AsciiText,
  from: number,
  to: number,
): bigint | undefined {
  const small = to - from <= 15 ? decodeInteger(bytes, given, from, to) : undefined
  if (small !== undefined) return BigInt(small)
  const text = decodeText(bytes, given, from, to).trim()
  return INTEGER.test(text) ? BigInt(text.replace('+', '')) : undefined
}

/**
 * A decimal of at most 15 digits and no exponent; undefined for any other text.
 *
 * Why: a double holds each whole number of 15 digits and each power of ten up to 10^22, and one division rounds once, so
 *      this is the double nearest to the text, for a tenth of the time that a string and Number() take.
 */
function decodeShortDecimal(bytes: Buffer, from: number, to: number): number | undefined {
  const negative = bytes[from] === 45
  const start = negative ? from + 1 : from
  let point = -1
  let units = 0
  for (let i = start; i < to; i++) {
    const digit = bytes[i]! - 48
    if (digit === -2 && point < 0) point = i
    else if (digit < 0 || digit > 9) return undefined
    else units = units * 10 + digit
  }
  const digits = to - start - (point < 0 ? 0 : 1)
  if (digits < 1 || digits > 15) return undefined
  const value = point < 0 ? units : units / POWERS_OF_TEN[to - point - 1]!
  return negative ? -value : value
}

const POWERS_OF_TEN = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent)

function decodeFloat(
  bytes: Buffer,
  given: AsciiText,
  from: number,
  to: number,
): number | undefined {
  const short = decodeShortDecimal(bytes, from, to)
  if (short !== undefined) return short
  const text = decodeText(bytes, given, from, to).trim()
  if (DECIMAL.test(text)) return Number(text)
  return SPECIAL_FLOATS.get(text.toLowerCase())
}

function decodeBoolean(
  bytes: Buffer,
  given: AsciiText,
  from: number,
  to: number,
): boolean | undefined {
  return BOOLEANS.get(decodeText(bytes, given, from, to).trim().toLowerCase())
}

/** bytea in hex form; the escape form is none that a stage can be given for certain. */
function decodeBytes(
  bytes: Buffer,
  given: AsciiText,
  from: number,
  to: number,
): Uint8Array | undefined {
  const text = decodeText(bytes, given, from, to)
  return HEX.test(text) ? Buffer.from(text.slice(2), 'hex') : undefined
}

const INTEGER = /^[+-]?\d+$/
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const HEX = /^\\x(?:[\da-f]{2})*$/i

const SPECIAL_FLOATS = new Map([
  ['nan', NaN],
  ...['infinity', '+infinity', 'inf', '+inf'].map((word) => [word, Infinity] as const),
  ...['-infinity', '-inf'].map((word) => [word, -Infinity] as const),
])

/** boolin() takes every prefix that is unique. */
const BOOLEANS = new Map([
  ...['t', 'tr', 'tru', 'true', 'y', 'ye', 'yes', 'on', '1'].map((word) => [word, true] as const),
  ...['f', 'fa', 'fal', 'fals', 'false', 'n', 'no', 'of', 'off', '0'].map(
    (word) => [word, false] as const,
  ),
])

const BY_TYPE: Readonly<Record<string, Decode>> = {
  int2: decodeInteger,
  int4: decodeInteger,
  int8: decodeBigint,
  float4: decodeFloat,
  float8: decodeFloat,
  bool: decodeBoolean,
  bytea: decodeBytes,
}
