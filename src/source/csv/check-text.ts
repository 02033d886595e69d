import { isUtf8 } from 'node:buffer'
import type { BadRecord } from '../../chunk/fields.ts'
import type { CsvEngine } from './engine.ts'
import { recordAt } from './locate.ts'

/**
 * Looks for bytes that PostgreSQL cannot keep as text: NUL, and what is not UTF-8. The first bad record, or null.
 *
 * Why: both looks run at several GB/s over the whole chunk; only a bad chunk is searched.
 */
export function findBadText(engine: CsvEngine, bytes: Buffer): BadRecord | null {
  const nul = bytes.indexOf(0)
  const broken = isUtf8(bytes) ? -1 : firstNonUtf8(bytes)
  if (nul === -1 && broken === -1) return null
  const isNul = broken === -1 || (nul !== -1 && nul < broken)
  const start = recordAt(engine, bytes, isNul ? nul : broken)
  const reason = isNul
    ? 'holds a NUL byte, which PostgreSQL cannot keep in text'
    : 'holds bytes that are not UTF-8'
  return { record: start.record, byte: start.byte, reason }
}

/** Halves the bytes until the first bad sequence is found; cut characters at the edges are tolerated by 3 bytes. */
function firstNonUtf8(bytes: Buffer): number {
  let good = 0
  let bad = bytes.length
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (isUtf8(bytes.subarray(0, characterStart(bytes, middle)))) good = middle
    else bad = middle
  }
  return good
}

/** The start of the character that byte `at` is in the middle of, or `at`. */
function characterStart(bytes: Buffer, at: number): number {
  let start = at
  while (start > at - 3 && start > 0 && (bytes[start]! & 0xc0) === 0x80) start--
  return start
}
