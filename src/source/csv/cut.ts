import type { Position, Range } from '../../chunk/range.ts'
import { SourceError, type Where } from '../../core/errors.ts'
import type { ByteSource } from '../bytes/byte-source.ts'
import type { CsvEngine, Scan } from './engine.ts'

/** A range and its bytes. `bytes` begins at the start of `buffer`, which belongs to whoever takes the cut. */
export interface Cut {
  readonly range: Range
  readonly buffer: ArrayBuffer
  readonly length: number
}

export interface CutLimits {
  /** Bytes of a range, about: it ends at the last record boundary before. */
  readonly chunkSize: number
  /** Records of a range, about: short records cost more memory in the lanes than their bytes. */
  readonly chunkRecords: number
  /** Bytes of one record, at most. */
  readonly maxRecord: number
}

/** The first range is small: it tells how long records are, and its rows are there soon. */
const FIRST_BYTES = 1 << 20

/** Where the cutter's buffers come from and, once a lane is done, return to. */
export interface Buffers {
  /** A buffer of at least `length` bytes, as soon as there is one. */
  take(length: number): Promise<ArrayBuffer>
  give(buffer: ArrayBuffer): void
}

/**
 * Cuts a piece of a source into ranges at record boundaries.
 *
 * Shape:  ranges come in order and without gaps, from `from` to `end` (null: the end of the source); none is empty. When the
 *         source ends before `end`, so do they, at a record boundary.
 * Errors: SOURCE_ROW_TOO_LARGE with the place where the record starts, SOURCE_UNTERMINATED_QUOTE with the place where
 *         the quote opened.
 */
export async function* cut(
  source: ByteSource,
  engine: CsvEngine,
  from: Position,
  end: number | null,
  limits: CutLimits,
  buffers: Buffers,
): AsyncGenerator<Cut> {
  let at = from
  let buffer = await buffers.take(limits.chunkSize)
  let target = Math.min(limits.chunkSize, FIRST_BYTES)
  let length = 0 // bytes of `buffer` in use; those from an earlier round are the start of a record
  for (;;) {
    const bytes = Buffer.from(buffer)
    const position = at.byte + length
    const full = length < target ? target : bytes.length
    const room = Math.min(full - length, end === null ? Infinity : end - position)
    const read = room === 0 ? 0 : await source.read(bytes, length, room, position)
    length += read
    const atEnd = end === null ? read < room : at.byte + length >= end
    // The source has ended before `end`: what is left may be a part of a record.
    if (length === 0 || (end !== null && read === 0 && room > 0)) break

    const scan = scanAt(source, engine, bytes.subarray(0, length), atEnd, at)
    if (scan.end === 0) {
      if (atEnd) break
      if (length > limits.maxRecord) throw tooLarge(source, engine, bytes, at, limits)
      if (length < bytes.length) continue
      buffer = grow(buffer, length, limits)
      continue
    }
    const rest = length - scan.end
    let next: ArrayBuffer | null = null
    if (!atEnd || rest > 0) {
      next = await buffers.take(Math.max(limits.chunkSize, rest + 1))
      bytes.copy(Buffer.from(next), 0, scan.end, length)
    }
    yield { range: rangeOf(at, scan), buffer, length: scan.end }
    target = nextTarget(scan, limits)
    at = {
      byte: at.byte + scan.end,
      record: at.record + scan.records,
      line: at.line + scan.lines,
    }
    if (next === null) return
    buffer = next
    length = rest
  }
  buffers.give(buffer)
}

function nextTarget(scan: Scan, limits: CutLimits): number {
  const expected = (limits.chunkRecords * scan.end) / Math.max(1, scan.records)
  return Math.ceil(Math.min(limits.chunkSize, expected))
}

function rangeOf(at: Position, scan: Scan): Range {
  return {
    start: at.byte,
    end: at.byte + scan.end,
    firstRecord: at.record,
    firstLine: at.line,
    records: scan.records,
    lines: scan.lines,
  }
}

/** Scans, and turns places within the bytes into places in the source. */
function scanAt(
  source: ByteSource,
  engine: CsvEngine,
  bytes: Buffer,
  atEnd: boolean,
  at: Position,
): Scan {
  try {
    return engine.scan(bytes, atEnd)
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    const where = {
      source: source.name,
      record: at.record - 1 + (error.where?.record ?? 1),
      line: at.line - 1 + (error.where?.line ?? 1),
      byte: at.byte + (error.where?.byte ?? 0),
    }
    const message = `record ${String(where.record)} (quote opened in line ${String(where.line)}): ${error.message}`
    throw new SourceError(error.code, message, { where, cause: error, hint: error.hint })
  }
}

/** A larger buffer with the same bytes, for a record that does not fit; it takes the place of the one taken. */
function grow(buffer: ArrayBuffer, length: number, limits: CutLimits): ArrayBuffer {
  const larger = new ArrayBuffer(Math.min(length * 2, limits.maxRecord + 1))
  Buffer.from(larger).set(Buffer.from(buffer, 0, length))
  return larger
}

function tooLarge(
  source: ByteSource,
  engine: CsvEngine,
  bytes: Buffer,
  at: Position,
  limits: CutLimits,
): SourceError {
  const open = openQuote(source, engine, bytes, at)
  const message =
    `record ${String(at.record)} (line ${String(at.line)}) is longer than ` +
    `${String(limits.maxRecord)} bytes` +
    (open === null ? '' : `: its quote in line ${String(open.line)} is not closed`)
  return new SourceError('SOURCE_ROW_TOO_LARGE', message, {
    where: open ?? { source: source.name, record: at.record, line: at.line, byte: at.byte },
    hint: 'mend the record, set --quote if the file uses another one, or allow more with --max-record',
  })
}

/** Where the quote was opened that these bytes, all of one record, do not close; null when none is open. */
function openQuote(
  source: ByteSource,
  engine: CsvEngine,
  bytes: Buffer,
  at: Position,
): Where | null {
  try {
    scanAt(source, engine, bytes, true, at)
    return null
  } catch (error) {
    if (error instanceof SourceError && error.code === 'SOURCE_UNTERMINATED_QUOTE') {
      return error.where ?? null
    }
    throw error
  }
}
