/**
 * Digits eight at a time in one 64-bit word, the first of them in its lowest byte: WebAssembly is little-endian.
 *
 * Source: "SIMD within a register", as in https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/
 */

/** Eight bytes of text; a digit becomes its value, anything else more than 9. */
export function digitsAt(at: i32): u64 {
  return load<u64>(at) ^ 0x3030303030303030
}

/** Marks the first byte above 9 by its top bit, and none before it; 0 when all eight are digits. */
export function nonDigits(digits: u64): u64 {
  return ((digits + 0x7676767676767676) | digits) & 0x8080808080808080
}

/** How many of the eight are digits before the first that is none. */
export function countDigits(digits: u64): i32 {
  return <i32>(ctz(nonDigits(digits)) >> 3)
}

/** The first `count` digits, 1 to 8, as the last ones of eight: zeros before them. */
export function alignRight(digits: u64, count: i32): u64 {
  return digits << (64 - (count << 3))
}

/** The first `count` digits, 1 to 8, and zeros behind them. */
export function alignLeft(digits: u64, count: i32): u64 {
  return digits & (<u64>-1 >> (64 - (count << 3)))
}

/** In each byte but the last the number that its digit and the next one are. */
export function pairsOf(digits: u64): u64 {
  return digits * 10 + (digits >> 8)
}

/** The numbers that the first and the last four digits are, in the low and the high half. */
export function foursOf(digits: u64): u64 {
  const pairs = pairsOf(digits) & 0x00ff00ff00ff00ff
  return (pairs * 100 + (pairs >> 16)) & 0x0000ffff0000ffff
}

/** The number that eight digits are. */
export function valueOf(digits: u64): u32 {
  const fours = foursOf(digits)
  return <u32>(fours * 10000 + (fours >> 32))
}
