/** Writes 32 bits, the highest byte first, as the protocol wants them. */
export function put32(at: i32, value: u32): void {
  const lanes = i32x4.splat(value)
  const swapped = i8x16.shuffle(lanes, lanes, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0)
  v128.store_lane<u32>(at, swapped, 0)
}

/** Writes 64 bits, the highest byte first. */
export function put64(at: i32, value: u64): void {
  const lanes = i64x2.splat(value)
  const swapped = i8x16.shuffle(lanes, lanes, 7, 6, 5, 4, 3, 2, 1, 0, 7, 6, 5, 4, 3, 2, 1, 0)
  v128.store_lane<u64>(at, swapped, 0)
}

/** Writes the field of a 32-bit value: its length, itself. */
export function putField32(at: i32, value: u32): i32 {
  put64(at, (<u64>4 << 32) | value)
  return at + 8
}

/** Writes the field of a 64-bit value. */
export function putField64(at: i32, value: u64): i32 {
  put32(at, 8)
  put64(at + 4, value)
  return at + 12
}

export function putNull(at: i32): i32 {
  put32(at, -1)
  return at + 4
}
