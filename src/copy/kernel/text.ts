import { put32 } from './output'

/** Copies text, sixteen bytes at a time: up to fifteen bytes behind it are overwritten. */
export function encodeText(from: i32, to: i32, at: i32): i32 {
  const length = to - from
  put32(at, length)
  for (let i = 0; i < length; i += 16) v128.store(at + 4 + i, v128.load(from + i))
  return at + 4 + length
}

/** The first `quote` in [from, to); `to` or what is behind it when there is none. */
export function findQuote(from: i32, to: i32, quote: u8): i32 {
  const quotes = i8x16.splat(quote)
  for (let i = from; i < to; i += 16) {
    const found = i8x16.bitmask(i8x16.eq(v128.load(i), quotes))
    if (found != 0) return i + ctz(found)
  }
  return to
}

/** Copies [from, to) to `at` with each doubled quote made one; returns the offset behind. */
export function undouble(from: i32, to: i32, quote: u8, at: i32): i32 {
  for (let i = from; i < to; i++) {
    const byte = load<u8>(i)
    store<u8>(at++, byte)
    if (byte == quote) i++
  }
  return at
}

/** Copies the raw field [from, to) to `at` without the quotes that only delimit, as ../../chunk/unquote.ts does. */
export function unquote(from: i32, to: i32, quote: u8, at: i32): i32 {
  let inside = false
  for (let i = from; i < to; i++) {
    const byte = load<u8>(i)
    if (byte != quote) store<u8>(at++, byte)
    else if (inside && i + 1 < to && load<u8>(i + 1) == quote) {
      store<u8>(at++, quote)
      i++
    } else inside = !inside
  }
  return at
}
