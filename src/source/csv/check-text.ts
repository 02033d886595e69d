import { isUtf8 } from 'node:buffer'
import type { BadRecord } from '../../chunk/fields.ts'
import type { CsvEngine } from './engine.ts'
import { FIRST, recordAt, recordNumber, type RecordStart } from './locate.ts'

/**
 * Looks for bytes that PostgreSQL cannot keep as text: NUL, and what is not UTF-8. The first bad record, or null.
 *
 * Why: both looks run at several GB/s over the whole chunk; only a bad chunk is searched.
 */
export function findBadText(engine: CsvEngine, bytes: Buffer): BadRecord | null {
  const bad = firstBadByte(bytes, 0, bytes.indexOf(0))
  if (bad === null) return null
  const start = recordAt(engine, bytes, bad.byte)
  return { record: start.record, byte: start.byte, reason: bad.reason }
}

/** All records with such bytes. */
export function findBadTexts(engine: CsvEngine, bytes: Buffer): BadRecord[] {
  const found: BadRecord[] = []
  let known = FIRST
  let nul = bytes.indexOf(0)
  for (;;) {
    if (nul !== -1 && nul < known.byte) nul = bytes.indexOf(0, known.byte)
    const bad = firstBadByte(bytes, known.byte, nul)
    if (bad === null) return found
    const start = recordHolding(engine, bytes, bad.byte, known)
    found.push({ record: start.record, byte: start.byte, reason: bad.reason })
    known = recordNumber(engine, bytes, start.record + 1, start)
  }
}

/** As recordAt, from a start that is known. */
function recordHolding(
  engine: CsvEngine,
  bytes: Buffer,
  byte: number,
  from: RecordStart,
): RecordStart {
  const start = recordAt(engine, bytes.subarray(from.byte), byte - from.byte)
  return {
    byte: from.byte + start.byte,
    record: from.record + start.record,
    lines: from.lines + start.lines,
  }
}

/** Bytes that are looked at together: what is wrong in them is searched for in them alone. */
const WINDOW_BYTES = 65536

/** The first from a byte on, which is the start of a character; `nul` is the place of the first NUL, -1 for none. */
function firstBadByte(
  bytes: Buffer,
  from: number,
  nul: number,
): { readonly byte: number; readonly reason: string } | null {
  const broken = firstBroken(bytes, from)
  if (nul === -1 && broken === -1) return null
  return broken === -1 || (nul !== -1 && nul < broken)
    ? { byte: nul, reason: 'holds a NUL byte, which PostgreSQL cannot keep in text' }
    : { byte: broken, reason: 'holds bytes that are not UTF-8' }
}

/** Where the first bytes are that are not UTF-8; -1 when there are none. */
function firstBroken(bytes: Buffer, first: number): number {
  if (first === 0 && isUtf8(bytes)) return -1
  for (let from = first; from < bytes.length;) {
    const to = Math.min(from + WINDOW_BYTES, bytes.length)
    const end = to === bytes.length ? to : characterStart(bytes, to)
    const window = bytes.subarray(from, end)
    if (!isUtf8(window)) return from + firstNonUtf8(window)
    from = end
  }
  return -1
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
