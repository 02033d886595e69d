const LF: u8 = 10
const CR: u8 = 13

/** The bytes that can end a field without quotes, as bits. */
// @ts-ignore: decorator
@inline
export function separatorsIn(bytes: v128, delimiters: v128, quotes: v128): i32 {
  const ends = v128.or(i8x16.eq(bytes, i8x16.splat(LF)), i8x16.eq(bytes, i8x16.splat(CR)))
  const others = v128.or(i8x16.eq(bytes, delimiters), i8x16.eq(bytes, quotes))
  return i8x16.bitmask(v128.or(ends, others))
}

/** The first byte that can end a field without quotes. There is one in the input: the line end at its end. */
// @ts-ignore: decorator
@inline
export function findSeparator(from: i32, delimiters: v128, quotes: v128): i32 {
  let i = from
  while (true) {
    const found = separatorsIn(v128.load(i), delimiters, quotes)
    if (found != 0) return i + ctz(found)
    i += 16
  }
}
