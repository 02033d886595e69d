import type { CsvEngine } from './engine.ts'

/** The start of a record within the bytes of a range: counts before it, from 0. */
export interface RecordStart {
  readonly byte: number
  readonly record: number
  readonly lines: number
}

/** The start of the bytes. */
export const FIRST: RecordStart = { byte: 0, record: 0, lines: 0 }

/** Finds the record that holds a byte. */
export function recordAt(engine: CsvEngine, bytes: Buffer, byte: number): RecordStart {
  const before = engine.scan(bytes.subarray(0, byte), false)
  return { byte: before.end, record: before.records, lines: before.lines }
}

/**
 * Finds where a record starts, given how many come before it; `from` is a start that is known, before it.
 *
 * Why: only asked for an error's sake, so it costs nothing until then: records are counted in steps of what is
 *      likely left, and a step that goes too far is halved.
 */
export function recordNumber(
  engine: CsvEngine,
  bytes: Buffer,
  record: number,
  from: RecordStart = FIRST,
): RecordStart {
  let at = from
  let tooShort = 0
  let tooLong = bytes.length - at.byte + 1
  while (at.record < record && at.byte < bytes.length) {
    const likely = Math.min((record - at.record) * 128, 65536)
    const step = Math.min((tooShort + tooLong) >> 1, Math.max(tooShort * 2, likely))
    const to = Math.min(at.byte + step, bytes.length)
    const scan = engine.scan(bytes.subarray(at.byte, to), to === bytes.length)
    if (scan.end === 0) tooShort = step
    else if (at.record + scan.records > record) tooLong = step
    else {
      at = {
        byte: at.byte + scan.end,
        record: at.record + scan.records,
        lines: at.lines + scan.lines,
      }
      tooShort = 0
      tooLong = bytes.length - at.byte + 1
    }
  }
  return at
}
