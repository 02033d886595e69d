import type { KeptReject } from '../../checkpoint/kept-rejects.ts'
import { SourceError } from '../../core/errors.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import type { RangeBytes } from '../lanes/lane-protocol.ts'

/** A record of which something was rejected, with its bytes as they are to be read now. */
export interface ReplayRecord {
  readonly raw: Buffer
  readonly rejects: readonly KeptReject[]
}

/** A record that cannot be read as one. */
export interface UnreadRecord extends ReplayRecord {
  readonly reason: string
}

/** The records of rejects, as bytes of an input that has no others. */
export interface ReplayRange {
  readonly records: readonly ReplayRecord[]
  readonly unread: readonly UnreadRecord[]
  readonly source: RangeBytes
}

/** Why bytes that stand for one record are not one; null where they are. */
function unreadReason(engine: CsvEngine, record: Buffer): string | null {
  try {
    const { records } = engine.scan(record, true)
    return records === 1 ? null : `holds ${String(records)} records, expected one`
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return 'has a quoted field without its closing quote'
  }
}

/**
 * Puts the records of rejects together; `edits` has other bytes for some of them, by id.
 *
 * Shape: rows of one record that have the same bytes, one behind the other, are of one record here too.
 */
export function replayRange(
  rejects: readonly KeptReject[],
  edits: ReadonlyMap<number, Buffer>,
  engine: CsvEngine,
  dialect: CsvDialect,
): ReplayRange {
  const lineEnd = Buffer.from(LINE_ENDS[dialect.lineEnd])
  const records: ReplayRecord[] = []
  const unread: UnreadRecord[] = []
  const parts: Buffer[] = []
  for (const record of recordsOf(rejects, edits)) {
    const bytes = Buffer.concat([record.raw, lineEnd])
    const reason = unreadReason(engine, bytes)
    if (reason !== null) unread.push({ ...record, reason })
    else {
      records.push(record)
      parts.push(bytes)
    }
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const buffer = new ArrayBuffer(length)
  Buffer.concat(parts).copy(Buffer.from(buffer))
  const range = { start: 0, end: length, firstRecord: 0, firstLine: 1 }
  const counts = { records: records.length, lines: records.length }
  return { records, unread, source: { range: { ...range, ...counts }, buffer, length } }
}

const LINE_ENDS = { lf: '\n', crlf: '\r\n', cr: '\r', auto: '\n' } as const

function recordsOf(
  rejects: readonly KeptReject[],
  edits: ReadonlyMap<number, Buffer>,
): ReplayRecord[] {
  const records: { raw: Buffer; rejects: KeptReject[] }[] = []
  for (const reject of rejects) {
    const raw = edits.get(reject.id) ?? Buffer.from(reject.raw)
    const last = records.at(-1)
    const [first] = last?.rejects ?? []
    const isSame = first?.input === reject.input && first.byte === reject.byte
    const isPart = reject.part.length > 0 && first !== undefined && first.part.length > 0
    if (isSame && isPart && last?.raw.equals(raw) === true) last.rejects.push(reject)
    else records.push({ raw, rejects: [reject] })
  }
  return records
}
