import type { Block } from '../rows.ts'
import { NOT_CANONICAL } from './integers.ts'

/** Below this a loop over bytes beats set() on a subarray, which allocates a view (measured: even at about 60). */
const SHORT = 64

/** Text and everything whose binary form is its text. */
export function encodeText(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  const length = to - from
  out.view.setInt32(at, length)
  at += 4
  if (length > SHORT) {
    out.buffer.set(bytes.subarray(from, to), at)
    return at + length
  }
  const { buffer } = out
  while (from < to) buffer[at++] = bytes[from++]!
  return at
}

/** jsonb: a version byte, then the text. Source: jsonb_recv() in PostgreSQL's jsonb.c */
export function encodeJsonb(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  out.view.setInt32(at, to - from + 1)
  out.buffer[at + 4] = 1
  out.buffer.set(bytes.subarray(from, to), at + 5)
  return at + 5 + to - from
}

/** name: namein() cuts what is too long, namerecv() refuses it; so only what fits. NAMEDATALEN is 64. */
export function encodeName(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  return to - from < 64 ? encodeText(bytes, from, to, out, at) : NOT_CANONICAL
}

/** "char": one byte of ASCII; charin() also knows '' and octal escapes, the server may read those. */
export function encodeChar(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  return to - from === 1 && bytes[from]! < 128
    ? encodeText(bytes, from, to, out, at)
    : NOT_CANONICAL
}

/** The value of each byte as a hexadecimal digit, 255 for the others. */
const HEX = new Uint8Array(256).fill(255)
for (let i = 0; i < 16; i++) {
  HEX[i.toString(16).charCodeAt(0)] = i
  HEX[i.toString(16).toUpperCase().charCodeAt(0)] = i
}

/** bytea in hex form, `\x00ff`; the escape form is left to the server. */
export function encodeBytea(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  const length = (to - from - 2) / 2
  if (length < 0 || length % 1 !== 0) return NOT_CANONICAL
  if (bytes[from] !== 92 || bytes[from + 1] !== 120) return NOT_CANONICAL
  out.view.setInt32(at, length)
  at += 4
  for (let i = from + 2; i < to; i += 2) {
    const high = HEX[bytes[i]!]!
    const low = HEX[bytes[i + 1]!]!
    if (high > 15 || low > 15) return NOT_CANONICAL
    out.buffer[at++] = (high << 4) | low
  }
  return at
}

/** uuid as 8-4-4-4-12 hexadecimal digits of either case */
export function encodeUuid(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  if (to - from !== 36) return NOT_CANONICAL
  out.view.setInt32(at, 16)
  at += 4
  for (let i = 0; i < 36; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (bytes[from + i] !== 45) return NOT_CANONICAL
      i++
    }
    const high = HEX[bytes[from + i]!]!
    const low = HEX[bytes[from + i + 1]!]!
    if (high > 15 || low > 15) return NOT_CANONICAL
    out.buffer[at++] = (high << 4) | low
  }
  return at
}
