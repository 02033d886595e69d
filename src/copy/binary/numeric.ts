import type { Block } from '../rows.ts'
import { NOT_CANONICAL } from './integers.ts'

/** PostgreSQL keeps at most this many digits behind the point (NUMERIC_DSCALE_MAX), and far more before it. */
const MOST_DIGITS = 16000
/** What makes a group of so many digits behind the point. */
const TO_GROUP = Int32Array.of(0, 1000, 100, 10, 1)

/**
 * Encodes plain decimal text as numeric: sign, base-10,000 digits, and the scale as written.
 *
 * Shape:  `-12.50`, `.5` and `5.`; exponents, NaN and Infinity are left to the server.
 * Source: numeric_recv(), https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/numeric.c
 */
export function encodeNumeric(
  bytes: Uint8Array,
  from: number,
  to: number,
  out: Block,
  at: number,
): number {
  const negative = bytes[from] === 45
  const start = negative ? from + 1 : from
  let whole = 0
  let i = start
  for (; i < to; i++) {
    const digit = bytes[i]! - 48
    if (digit < 0 || digit > 9) break
    whole = (whole * 10 + digit) | 0 // wraps beyond 9 digits; not used then
  }
  const point = i
  let scale = 0
  if (i < to) {
    if (bytes[i] !== 46) return NOT_CANONICAL
    scale = to - i - 1
  }
  const digits = point - start + scale
  if (digits === 0) return NOT_CANONICAL
  if (point - start > 8 || scale > 4) {
    return encodeLong(bytes, start, point, to, negative, out, at)
  }

  // The common case: at most two groups before the point and one behind it, and no loop over groups.
  let fraction = 0
  for (i = point + 1; i < to; i++) {
    const digit = bytes[i]! - 48
    if (digit < 0 || digit > 9) return NOT_CANONICAL
    fraction = (fraction * 10 + digit) | 0
  }
  return putShortNumeric(out.view, at, negative, whole, fraction, scale)
}

/**
 * Encodes a number with at most 8 digits before the point and 4 behind it, as its text would be; NOT_CANONICAL for others.
 *
 * Why: such a number, money most often, has at most 12 digits, which no two doubles share: no search for its shortest
 *      text is needed, 300 ns of V8's time.
 */
export function encodeShortDecimal(value: number, out: Block, at: number): number {
  const magnitude = Math.abs(value)
  if (!(magnitude < 1e8)) return NOT_CANONICAL
  const units = Math.round(magnitude * 10000)
  if (units / 10000 !== magnitude) return NOT_CANONICAL
  const whole = Math.floor(units / 10000)
  let fraction = units - whole * 10000
  let scale = fraction === 0 ? 0 : 4
  while (scale > 0 && fraction % 10 === 0) {
    fraction /= 10
    scale--
  }
  return putShortNumeric(out.view, at, value < 0, whole, fraction, scale)
}

/** Writes a numeric of at most 8 digits before the point, `whole`, and `scale` (at most 4) behind it, `fraction`. */
function putShortNumeric(
  out: DataView,
  at: number,
  negative: boolean,
  whole: number,
  fraction: number,
  scale: number,
): number {
  // Few branches: one that is met late has the row loop optimized anew.
  fraction = Math.imul(fraction, TO_GROUP[scale]!)
  const high = (whole / 10000) | 0
  const low = whole - high * 10000
  let end = at + 12
  let weight = 0
  if (high !== 0) {
    weight = 1
    end = putGroup(out, end, high)
  }
  if ((high === 0 ? low : low | fraction) !== 0) end = putGroup(out, end, low)
  if (fraction !== 0) {
    if (end === at + 12) weight = -1
    end = putGroup(out, end, fraction)
  }
  putHead(out, at, (end - at - 12) >> 1, weight, negative, scale)
  return end
}

/** Any number of digits, group by group from the point outwards. */
function encodeLong(
  bytes: Uint8Array,
  start: number,
  point: number,
  to: number,
  negative: boolean,
  out: Block,
  at: number,
): number {
  const scale = point < to ? to - point - 1 : 0
  if (point - start + scale > MOST_DIGITS) return NOT_CANONICAL
  let first = start
  while (first < point && bytes[first] === 48) first++

  const wholeDigits = point - first
  const wholeGroups = (wholeDigits + 3) >> 2
  let weight = wholeGroups - 1
  let end = at + 12
  let lastNonZero = end
  let size = wholeDigits - (wholeGroups - 1) * 4
  for (let i = first; i < point; i += size, size = 4) {
    const group = groupAt(bytes, i, size, size)
    end = putGroup(out.view, end, group)
    if (group !== 0) lastNonZero = end
  }
  for (let i = point + 1; i < to; i += 4) {
    const group = groupAt(bytes, i, Math.min(4, to - i), 4)
    if (group < 0) return NOT_CANONICAL
    if (end === at + 12 && group === 0) {
      weight--
      continue
    }
    end = putGroup(out.view, end, group)
    if (group !== 0) lastNonZero = end
  }
  end = lastNonZero
  const groups = (end - at - 12) >> 1
  putHead(out.view, at, groups, groups === 0 ? 0 : weight, negative, scale)
  return end
}

/** The value of `size` digits at `i`, as the leading digits of a group of `width`; -1 when one is no digit. */
function groupAt(bytes: Uint8Array, i: number, size: number, width: number): number {
  let value = 0
  for (let j = 0; j < width; j++) {
    const digit = j < size ? bytes[i + j]! - 48 : 0
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

function putGroup(out: DataView, at: number, group: number): number {
  out.setInt16(at, group)
  return at + 2
}

function putHead(
  out: DataView,
  at: number,
  groups: number,
  weight: number,
  negative: boolean,
  scale: number,
): void {
  out.setInt32(at, 8 + groups * 2)
  out.setInt32(at + 4, (groups << 16) | (weight & 0xffff))
  out.setInt32(at + 8, (negative && groups !== 0 ? 0x40000000 : 0) | scale)
}
