/** What the last call found: record ends, line ends, and the byte after the last record end, 0 where there is none. */
export let records: i32 = 0
export let lines: i32 = 0
export let end: i32 = 0
/** Whether the bytes end within quotes. */
export let inside: bool = false

/**
 * Scans [from, to) for record ends: terminators with an even number of quotes before them.
 *
 * Shape: up to 64 bytes behind the input are read and not looked at. The globals above are set; `wasInside` tells
 *        whether the bytes begin within quotes.
 * Why:   64 bytes become two words of bits, one bit a byte. A prefix xor over the quotes' word says of every byte at
 *        once whether it is within quotes; bits are counted instead of branched on.
 */
export function scan(from: i32, to: i32, quote: u8, terminator: u8, wasInside: bool): void {
  const quotes = i8x16.splat(quote)
  const terminators = i8x16.splat(terminator)
  let within: u64 = wasInside ? ~(<u64>0) : 0
  let recordCount = 0
  let lineCount = 0
  let last = 0
  for (let i = from; i < to; i += 64) {
    const seen: u64 = to - i < 64 ? (<u64>1 << (to - i)) - 1 : ~(<u64>0)
    const ends = matches(i, terminators) & seen
    const q = matches(i, quotes) & seen
    let p = within
    if (q != 0) {
      p = q ^ (q << 1)
      p ^= p << 2
      p ^= p << 4
      p ^= p << 8
      p ^= p << 16
      p ^= p << 32
      p ^= within
      within = <u64>(<i64>p >> 63)
    }
    const hits = ends & ~p
    lineCount += <i32>popcnt(ends)
    recordCount += <i32>popcnt(hits)
    if (hits != 0) last = i + 64 - <i32>clz(hits)
  }
  records = recordCount
  lines = lineCount
  end = last
  inside = within != 0
}

/** Which of the 64 bytes at `i` equal the byte that is repeated in `pattern`, the first as the lowest bit. */
// @ts-ignore: decorator
@inline
function matches(i: i32, pattern: v128): u64 {
  const a = <u64>(<u32>i8x16.bitmask(i8x16.eq(v128.load(i), pattern)))
  const b = <u64>(<u32>i8x16.bitmask(i8x16.eq(v128.load(i, 16), pattern)))
  const c = <u64>(<u32>i8x16.bitmask(i8x16.eq(v128.load(i, 32), pattern)))
  const d = <u64>(<u32>i8x16.bitmask(i8x16.eq(v128.load(i, 48), pattern)))
  return a | (b << 16) | (c << 32) | (d << 48)
}
