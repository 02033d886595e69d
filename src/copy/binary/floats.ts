import type { Block } from '../rows.ts'
import { NOT_CANONICAL } from './integers.ts'

const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${String(i)}`))
const double = new Float64Array(1)
const halves = new Uint32Array(double.buffer)
const single = new Float32Array(1)
const singleBits = new Uint32Array(single.buffer)
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
const LOW = LITTLE ? 0 : 1

/** Encodes decimal or exponent text as float8. NaN and Infinity are left to the server. */
export function encodeFloat8(
  bytes: Buffer,
  from: number,
  to: number,
  out: Block,
  at: number,
): number {
  if (!parseDouble(bytes, from, to)) return NOT_CANONICAL
  out.view.setInt32(at, 8)
  out.view.setInt32(at + 4, halves[1 - LOW]!)
  out.view.setInt32(at + 8, halves[LOW]!)
  return at + 12
}

/**
 * Encodes decimal or exponent text as float4.
 *
 * Why: rounding to double and then to single can differ from rounding once, where the double lies exactly half-way
 *      between two singles but the decimal text did not. Those, subnormals and overflows are left to the server.
 */
export function encodeFloat4(
  bytes: Buffer,
  from: number,
  to: number,
  out: Block,
  at: number,
): number {
  if (!parseDouble(bytes, from, to)) return NOT_CANONICAL
  const value = double[0]!
  if ((halves[LOW]! & 0x1fffffff) === 0x10000000) return NOT_CANONICAL
  const size = Math.abs(value)
  if (size !== 0 && (size < 1.1754943508222875e-38 || size > 3.4028234663852886e38)) {
    return NOT_CANONICAL
  }
  single[0] = value
  out.view.setInt32(at, 4)
  out.view.setInt32(at + 4, singleBits[0]!)
  return at + 8
}

/**
 * Parses into `double`, correctly rounded; false when the text is not a plain finite number.
 *
 * Source: at most 15 digits and a power of ten up to 22 are both exact doubles, so one operation rounds once
 *         (Clinger, "How to read floating point numbers accurately", 1990). The rest goes through Number().
 */
function parseDouble(bytes: Buffer, from: number, to: number): boolean {
  const negative = bytes[from] === 45
  const start = negative ? from + 1 : from
  let i = start
  let mantissa = 0
  let point = -1
  for (; i < to; i++) {
    const byte = bytes[i]!
    if (byte === 46 && point < 0) {
      point = i
      continue
    }
    const digit = byte - 48
    if (digit < 0 || digit > 9) break
    mantissa = mantissa * 10 + digit
  }
  const digits = i - start - (point < 0 ? 0 : 1)
  if (digits === 0) return false
  const decimals = point < 0 ? 0 : i - point - 1
  if (i < to || digits > 15) return parseLong(bytes, from, i, to)
  const value = decimals === 0 ? mantissa : mantissa / POWERS[decimals]!
  double[0] = negative ? -value : value
  return true
}

function parseLong(bytes: Buffer, from: number, exponent: number, to: number): boolean {
  if (exponent < to) {
    if ((bytes[exponent]! | 0x20) !== 0x65) return false
    let i = exponent + 1
    if (bytes[i] === 43 || bytes[i] === 45) i++
    if (i >= to) return false
    for (; i < to; i++) if (bytes[i]! < 48 || bytes[i]! > 57) return false
  }
  const value = Number(bytes.toString('latin1', from, to))
  // The server refuses what over- or underflows; let it say so.
  if (!Number.isFinite(value) || value === 0) return false
  double[0] = value
  return true
}
