import type { Scan } from './engine.ts'

/**
 * Four bytes at a time in one 32-bit integer ("SIMD within a register"). A byte of `word ^ pattern` is zero where
 * the byte is the one looked for; the sum below sets bit 7 of exactly the zero bytes, no carry crosses a byte.
 * Measured on 8 MiB windows (EPYC, 2 cores): 1.7 GB/s on unquoted and 1.0 GB/s on all-quoted data, against
 * 0.7 and 0.6 GB/s for a loop over bytes.
 */
const LOW = 0x7f7f7f7f

/** Bit 7 of each byte of `word` that equals the byte repeated in `pattern`. */
export function matchBytes(word: number, pattern: number): number {
  const x = word ^ pattern
  return ~(((x & LOW) + LOW) | x | LOW)
}

/** The byte in all four places of a 32-bit integer. */
export function repeatByte(byte: number): number {
  return Math.imul(byte, 0x01010101)
}

/**
 * Finds the last record boundary and counts records and lines, by quote parity alone.
 *
 * Shape:  a record ends at `terminator` where the number of quotes so far is even: PostgreSQL's reader toggles
 *         "in quotes" at every quote character, so nothing else has to be looked at.
 * Source: CopyReadLineText, https://github.com/postgres/postgres/blob/master/src/backend/commands/copyfromparse.c
 */
export function scanRecords(bytes: Buffer, quote: number, terminator: number): Scan {
  return isSparse(bytes, quote, terminator)
    ? scanSparse(bytes, quote, terminator)
    : scanDense(bytes, quote, terminator)
}

/** Where line ends and quotes are at least this many bytes apart, a search from one to the next is faster. */
const SPARSE_BYTES = 48
const SAMPLE_BYTES = 4096

function isSparse(bytes: Buffer, quote: number, terminator: number): boolean {
  const sample = Math.min(bytes.length, SAMPLE_BYTES)
  let found = 0
  for (let i = 0; i < sample; i++) {
    if (bytes[i] === quote || bytes[i] === terminator) found++
  }
  return found * SPARSE_BYTES < sample
}

/** From quote to quote and line end to line end: 3 GB/s on lineitem. */
function scanSparse(bytes: Buffer, quote: number, terminator: number): Scan {
  let records = 0
  let lines = 0 // line ends within quotes
  let linesAtLast = 0
  let last = -1
  let lineEnd = bytes.indexOf(terminator)
  let open = bytes.indexOf(quote)
  for (;;) {
    while (lineEnd !== -1 && (open === -1 || lineEnd < open)) {
      last = lineEnd
      linesAtLast = lines
      records++
      lineEnd = bytes.indexOf(terminator, lineEnd + 1)
    }
    if (open === -1) break
    const close = bytes.indexOf(quote, open + 1)
    if (close === -1) break
    while (lineEnd !== -1 && lineEnd < close) {
      lines++
      lineEnd = bytes.indexOf(terminator, lineEnd + 1)
    }
    open = bytes.indexOf(quote, close + 1)
  }
  return { end: last + 1, records, lines: records + linesAtLast }
}

/** A view of no words still must begin at one, which bytes too few for a word need not do. */
const NO_WORDS = new Int32Array(0)

function scanDense(bytes: Buffer, quote: number, terminator: number): Scan {
  const length = bytes.length
  let inside = 0 // 0, or 0x80808080 within quotes
  let records = 0
  let lines = 0
  let last = -1

  const step = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const byte = bytes[i]
      if (byte === quote) inside ^= 0x80808080
      else if (byte === terminator) {
        lines++
        if (inside === 0) {
          records++
          last = i
        }
      }
    }
  }

  const aligned = Math.min(length, (4 - (bytes.byteOffset & 3)) & 3)
  step(0, aligned)

  const wordCount = (length - aligned) >> 2
  const words =
    wordCount === 0 ? NO_WORDS : new Int32Array(bytes.buffer, bytes.byteOffset + aligned, wordCount)
  const quotes = repeatByte(quote)
  const ends = repeatByte(terminator)
  let lastWord = -1
  let lastHits = 0
  for (let w = 0; w < words.length; w++) {
    const word = words[w]!
    const q = matchBytes(word, quotes)
    const e = matchBytes(word, ends)
    if ((q | e) === 0) continue
    // Prefix xor over the four bytes: is each byte inside quotes, counting the quotes before and at it?
    let p = q ^ (q << 8)
    p = p ^ (p << 16) ^ inside
    inside = (p >> 31) & 0x80808080
    const hits = e & ~p
    lines += Math.imul(e >>> 7, 0x01010101) >>> 24
    if (hits !== 0) {
      records += Math.imul(hits >>> 7, 0x01010101) >>> 24
      lastWord = w
      lastHits = hits
    }
  }
  if (lastWord >= 0) last = aligned + lastWord * 4 + ((31 - Math.clz32(lastHits)) >> 3)
  step(aligned + words.length * 4, length)

  // Line ends behind the last boundary lie inside the quotes of a record that is not whole yet.
  for (let i = last + 1; i < length; i++) if (bytes[i] === terminator) lines--
  return { end: last + 1, records, lines }
}
