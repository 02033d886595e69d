import { alignRight, digitsAt, nonDigits, valueOf } from './digits'
import { INT2, INT4, INT8 } from './kinds'
import { ODD } from './outcome'
import { put32, putField32, putField64 } from './output'

/** As many digits surely fit into 64 bits; the narrower kinds have so many only with leading zeros. */
const MOST_DIGITS = 18
const MOST_OF_NARROW = 10

/** Encodes `-12` as int2, int4 or int8. */
// @ts-ignore: decorator
@inline
export function encodeInteger(kind: u8, from: i32, to: i32, at: i32): i32 {
  const count = to - from
  if (count >= 1 && count <= 8 && kind != INT2) {
    const digits = alignRight(digitsAt(from), count)
    if (nonDigits(digits) == 0) {
      const value = valueOf(digits)
      return kind == INT4 ? putField32(at, value) : putField64(at, value)
    }
  }
  return encodeLong(kind, from, to, at)
}

/** Any number of digits, and a sign. */
function encodeLong(kind: u8, from: i32, to: i32, at: i32): i32 {
  const negative = load<u8>(from) == 45
  const first = negative ? from + 1 : from
  if (first == to || to - first > (kind == INT8 ? MOST_DIGITS : MOST_OF_NARROW)) return ODD
  let value: i64 = 0
  for (let i = first; i < to; i++) {
    const digit = <u32>load<u8>(i) - 48
    if (digit > 9) return ODD
    value = value * 10 + digit
  }
  if (negative) value = -value
  if (kind == INT4) return value == <i64>(<i32>value) ? putField32(at, <u32>value) : ODD
  if (kind != INT2) return putField64(at, value)
  if (value != <i64>(<i16>value)) return ODD
  put32(at, 2)
  put32(at + 4, <u32>value << 16)
  return at + 6
}
