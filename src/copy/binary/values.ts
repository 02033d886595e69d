import type { Result } from '../../chunk/value.ts'
import { Kind } from '../kinds.ts'
import type { Block } from '../rows.ts'
import { BadValue, numberText, valueText } from '../value-text.ts'
import { encodeField } from './fields.ts'
import { NOT_CANONICAL, putInt64Field } from './integers.ts'
import { encodeShortDecimal } from './numeric.ts'

/** In place of an offset: the field may not fit into what is left of the block. */
export const NO_ROOM = -2

// Of the module's own: an imported constant is looked up for each comparison.
const {
  text: TEXT,
  int4: INT4,
  int8: INT8,
  numeric: NUMERIC,
  float8: FLOAT8,
  timestamp: TIMESTAMP,
  timestamptz: TIMESTAMPTZ,
  bool: BOOL,
  bytea: BYTEA,
} = Kind
const TWO_32 = 4294967296
const LEFT = NOT_CANONICAL

/** No value that is not a string needs more than this; no string more than this beside three times its length. */
const ROOM = 64
/** Up to this length a loop over characters beats a call of Buffer's. */
const SHORT = 32

/** Text on its way to an encoder. */
let scratch = Buffer.allocUnsafeSlow(4096)

/**
 * Writes the value that a stage gave as a field of COPY binary.
 *
 * Shape: returns the offset behind it; NOT_CANONICAL for what the server has to read as text, or to refuse; NO_ROOM
 *        when it may reach beyond `limit`.
 */
export function encodeValue(
  kind: Kind,
  value: Result,
  out: Block,
  at: number,
  limit: number,
): number {
  if (at + ROOM > limit) return NO_ROOM
  switch (typeof value) {
    case 'string':
      return encodeString(kind, value, out, at, limit)
    case 'number':
      return encodeNumber(kind, value, out, at, limit)
    case 'boolean':
      if (kind !== BOOL) return encodeString(kind, String(value), out, at, limit)
      out.view.setInt32(at, 1)
      out.view.setInt8(at + 4, value ? 1 : 0)
      return at + 5
    case 'bigint':
      return encodeBigint(kind, value, out, at, limit)
    case 'undefined':
      out.view.setInt32(at, -1)
      return at + 4
    default:
      if (value !== null) return encodeObject(kind, value, out, at, limit)
      out.view.setInt32(at, -1)
      return at + 4
  }
}

function encodeNumber(kind: Kind, value: number, out: Block, at: number, limit: number): number {
  switch (kind) {
    case INT4:
      if ((value | 0) !== value) break
      out.view.setInt32(at, 4)
      out.view.setInt32(at + 4, value)
      return at + 8
    case INT8:
      if (!Number.isSafeInteger(value)) break
      return putInt64Field(out, at, Math.floor(value / TWO_32), value >>> 0)
    case FLOAT8:
      out.view.setInt32(at, 8)
      out.view.setFloat64(at + 4, value)
      return at + 12
    case NUMERIC: {
      const next = encodeShortDecimal(value, out, at)
      return next < 0 ? encodeString(kind, decimalText(value), out, at, limit) : next
    }
    default:
  }
  return encodeString(kind, numberText(value, kind), out, at, limit)
}

/** A number without an exponent, which the encoder of numeric would leave to the server. */
export function decimalText(value: number): string {
  const text = String(value)
  const e = text.indexOf('e')
  if (e < 0) return text
  const negative = text.startsWith('-') ? '-' : ''
  const [whole = '', fraction = ''] = text.slice(negative.length, e).split('.')
  const digits = whole + fraction
  const point = whole.length + Number(text.slice(e + 1))
  if (point <= 0) return `${negative}0.${'0'.repeat(-point)}${digits}`
  return `${negative}${digits.padEnd(point, '0')}`
}

function encodeBigint(kind: Kind, value: bigint, out: Block, at: number, limit: number): number {
  if (kind !== INT8 || BigInt.asIntN(64, value) !== value) {
    return encodeString(kind, String(value), out, at, limit)
  }
  out.view.setInt32(at, 8)
  out.view.setBigInt64(at + 4, value)
  return at + 12
}

function encodeObject(kind: Kind, value: object, out: Block, at: number, limit: number): number {
  if (value instanceof Uint8Array && kind === BYTEA) {
    if (at + ROOM + value.length > limit) return NO_ROOM
    out.view.setInt32(at, value.length)
    out.buffer.set(value, at + 4)
    return at + 4 + value.length
  }
  if (value instanceof Date && (kind === TIMESTAMP || kind === TIMESTAMPTZ)) {
    return encodeDate(value.getTime(), out, at)
  }
  let text: string | null
  try {
    text = valueText(value as Result, kind)
  } catch (error) {
    if (error instanceof BadValue) return LEFT // the road of text meets it again, and says where
    throw error
  }
  return text === null ? LEFT : encodeString(kind, text, out, at, limit)
}

/** Milliseconds from 1970 to 2000, the epoch of PostgreSQL. */
const EPOCH_MS = 946684800000
/** Beyond these, about the year 2255, a double does not count every microsecond. */
const EXACT_MS = 9e12

function encodeDate(time: number, out: Block, at: number): number {
  const since = time - EPOCH_MS
  if (!(Math.abs(since) < EXACT_MS)) return LEFT
  const micros = since * 1000
  return putInt64Field(out, at, Math.floor(micros / TWO_32), micros >>> 0)
}

function encodeString(kind: Kind, text: string, out: Block, at: number, limit: number): number {
  if (at + ROOM + text.length * 3 > limit) return NO_ROOM
  if (kind === TEXT) return putText(text, out, at)
  const { length } = text
  if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return encodeWide(kind, text, out, at)
    scratch[i] = code
  }
  return encodeField(kind, scratch, 0, length, out, at)
}

/** Text with characters beyond ASCII in a column that is not plain text, as jsonb. */
function encodeWide(kind: Kind, text: string, out: Block, at: number): number {
  if (!text.isWellFormed()) return LEFT
  const bytes = Buffer.from(text)
  return encodeField(kind, bytes, 0, bytes.length, out, at)
}

function putText(text: string, out: Block, at: number): number {
  const { length } = text
  const { buffer } = out
  const start = at + 4
  let i = 0
  if (length <= SHORT) {
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) break
      buffer[start + i] = code
    }
  }
  let end = start + i
  if (i < length) {
    if (!text.isWellFormed()) return LEFT
    end = start + buffer.write(text, start)
  }
  out.view.setInt32(at, end - start)
  return end
}
