import { alignLeft, alignRight, countDigits, digitsAt, foursOf } from './digits'
import { ODD } from './outcome'
import { put32, put64 } from './output'

/**
 * Encodes `-12.50` as numeric, with at most eight digits on either side of the point.
 *
 * Shape: length, number of base-10,000 groups, weight of the first, sign, scale as written, the groups. Groups of
 *        zeros at either end are left out, as the server itself does.
 */
// @ts-ignore: decorator
@inline
export function encodeNumeric(from: i32, to: i32, at: i32): i32 {
  const negative = <i32>(load<u8>(from) == 45)
  const first = from + negative
  const before = digitsAt(first)
  const count = countDigits(before)
  const point = first + count
  let whole: u64 = 0
  let fraction: u64 = 0
  let scale = 0
  if (count != 0) whole = foursOf(alignRight(before, count))
  if (point != to) {
    if (load<u8>(point) != 46) return ODD
    const behind = digitsAt(point + 1)
    scale = countDigits(behind)
    if (point + 1 + scale != to) return ODD
    if (scale != 0) fraction = foursOf(alignLeft(behind, scale))
  }
  if (count + scale == 0) return ODD

  // Four groups in one word, and no branch on their values: it would often be mispredicted.
  const groups =
    (whole << 48) | (whole & 0xffffffff00000000) | ((fraction & 0xffff) << 16) | (fraction >> 32)
  const nonZero = <i32>(groups != 0)
  const leading = <i32>clz(groups) >> 4
  const kept = (4 - leading - (<i32>ctz(groups) >> 4)) & -nonZero
  const weight = (1 - leading) & -nonZero
  put64(at, (<u64>(8 + kept * 2) << 32) | <u64>((kept << 16) | (weight & 0xffff)))
  put32(at + 8, ((negative & nonZero) << 30) | scale)
  put64(at + 12, groups << (leading << 4))
  return at + 12 + kept * 2
}
