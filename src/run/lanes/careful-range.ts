import { isUtf8 } from 'node:buffer'
import { crc32 } from 'node:zlib'
import type { Reject } from '../../checkpoint/rejects.ts'
import { type Chunk, chunkOf } from '../../chunk/chunk.ts'
import { FieldText } from '../../chunk/column.ts'
import type { Decode } from '../../chunk/decode.ts'
import type { BadRecord, Fields } from '../../chunk/fields.ts'
import type { BlockPool } from '../../copy/block-pool.ts'
import {
  type ChunkEncoding,
  type CopyPart,
  encodeCanonical,
  encodeText,
} from '../../copy/encode-chunk.ts'
import type { ColumnLimits } from '../../copy/column-limits.ts'
import { RowList, rowNumbers } from '../../copy/row-list.ts'
import { type CopyColumn, RowCursor, type RowEncoder, RowPlan } from '../../copy/rows.ts'
import { findBadTexts } from '../../source/csv/check-text.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import { FIRST, recordNumber } from '../../source/csv/locate.ts'
import type { Lineage } from '../../stage/lineage.ts'
import { addStats, type StageList, type StageStats } from '../../stage/stage-list.ts'
import type { CarefulChunk } from '../../target/careful-chunk.ts'
import type { Refusal } from '../../target/suspect-rows.ts'
import { placeOfRow, stageFailureError } from './bad-row.ts'
import type { LaneInput, RangeBytes } from './lane-protocol.ts'
import type { RangeQuestions } from './lane-questions.ts'
import { batchesOf } from './staged-range.ts'

/** What ranges are read with. */
export interface CarefulReading {
  readonly engine: CsvEngine
  readonly input: LaneInput
  readonly decoders: readonly Decode[]
  readonly stages: StageList
  readonly plan: RowPlan
  /** The columns of the plan. */
  readonly copied: readonly CopyColumn[]
  /** Their names. */
  readonly columns: readonly string[]
  readonly limits: readonly ColumnLimits[]
  readonly encoder: RowEncoder
  readonly pool: BlockPool
  /** Whether a row behind the stages is to be loaded, by its record in the range; all are where it is left out. */
  readonly wants?: ((record: number, part: readonly number[]) => boolean) | undefined
}

/** Which row a row behind the stages is. */
export interface RowOrigin {
  /** Among the records of the range, from 0. */
  readonly record: number
  /** Which row of the record; empty where stages make no more than one of one. */
  readonly part: readonly number[]
}

/** A range, and which rows it has come to. */
export interface CarefulRange extends CarefulChunk {
  readonly stats: readonly StageStats[]
  /** Of a row of the chunk. */
  originOf(row: number): RowOrigin
  /** Whether stages have made such a row of a record, also where a later one has left it out. */
  hasMade(origin: RowOrigin): boolean
}

/** Why a record, or a row made of it, is kept out. */
interface Reason extends RowOrigin {
  readonly code: string
  readonly message: string
  readonly column?: string | null
  readonly constraint?: string | null
  readonly stage?: string
}

/** Some rows behind the stages, and where the first of what they were made of is in the index. */
interface Batch {
  readonly chunk: Chunk
  readonly lineage: Lineage | null
  readonly firstIndexRow: number
}

/**
 * Reads a range of which some records are no rows, and some rows none that the server takes: what is wrong is put aside
 * with its reason, the rest is encoded.
 *
 * Shape: all rows of the range are in memory at once, the values that stages gave with them.
 */
export async function readCarefully(
  reading: CarefulReading,
  source: RangeBytes,
  asked: RangeQuestions | null,
): Promise<CarefulRange> {
  const { engine, input, stages, decoders, plan } = reading
  const bytes = Buffer.from(source.buffer, 0, source.length)
  const { fields, bad, skipped } = engine.index(bytes, input.fieldCount, source.range.records)
  const recordOfRow = recordsOfRows(fields.rowCount, [
    ...bad.map(({ record }) => record),
    ...skipped,
  ])
  const badTexts = badTextsOf(engine, fields, recordOfRow, bytes)
  const reasons: Reason[] = [...bad, ...badTexts].map(({ record, reason }) => {
    return { record, part: [], code: 'SOURCE_BAD_ROW', message: reason }
  })

  const text = new FieldText(fields)
  const batches: Batch[] = []
  let stats: readonly StageStats[] = []
  let facts: readonly unknown[] = []
  let firstIndexRow = 0
  for (const batch of batchesOf(fields)) {
    const given = without(chunkOf(batch, decoders, text), firstIndexRow, badTexts)
    const staged = await stages.apply(given, asked?.ask)
    for (const failure of staged.failures) {
      const { record: row, part, code, reason, columns, stage } = failure
      if (code === 'STAGE_LIMIT') {
        const place = placeOfRow(firstIndexRow + row, reading, source)
        throw stageFailureError(failure, place)
      }
      const record = recordOfRow[firstIndexRow + row]!
      const column = columns.length === 1 ? columns[0]! : null
      reasons.push({ record, part, code, message: reason, column, stage })
    }
    stats = staged.stats.map((one, i) => addStats(stats[i], one))
    facts = stages.mergeFacts(facts, staged.facts)
    const { chunk, lineage } = staged
    batches.push(wantedOf({ chunk, lineage, firstIndexRow }, recordOfRow, reading.wants))
    firstIndexRow += batch.rowCount
  }
  asked?.end()

  let list = new RowList(batches.map(({ chunk }) => chunk))
  const badValues = list.badValues(plan)
  for (const { row, column, message } of badValues) {
    const place = list.placeOf(row)
    const name = reading.columns[column] ?? null
    reasons.push({
      ...originIn(batches[place.chunk]!, place.row, recordOfRow),
      code: 'STAGE_VALUE',
      message: `a stage gave it ${message}`,
      column: name,
    })
  }
  if (badValues.length > 0) {
    const chunks = list.without(badValues.map(({ row }) => row))
    list = new RowList(chunks)
    // A chunk of which nothing is left is not picked: batches go on standing for theirs.
    const byColumns = new Map(batches.map((batch) => [batch.chunk.columns, batch]))
    batches.splice(
      0,
      batches.length,
      ...chunks.map((chunk) => ({ ...byColumns.get(chunk.columns)!, chunk })),
    )
  }

  const { encoder, pool } = reading
  const encoding: ChunkEncoding = { plan, cursor: new RowCursor(), encoder, pool }
  const canonical = (
    how: ChunkEncoding,
    except: readonly number[],
    left: number[],
  ): AsyncIterable<CopyPart> => {
    const numberOf = rowNumbers(except)
    return encodeCanonical(list.without(except), how, (place) => left.push(numberOf(place)))
  }
  const finder = new RecordFinder(reading, bytes, source)
  const originOf = (row: number): RowOrigin => {
    const place = list.placeOf(row)
    return originIn(batches[place.chunk]!, place.row, recordOfRow)
  }
  return {
    range: source.range,
    counts: {
      added: stats.reduce((sum, { added }) => sum + added, 0),
      checksum: crc32(bytes),
      facts: facts.some((one) => one !== null) ? JSON.stringify(facts) : null,
    },
    rows: list.count,
    suspects: list.rowsOver(plan, reading.limits),
    rejects: finder.rejects(reasons),
    stats,
    encode: (except, left) => canonical(encoding, except, left),
    encodeColumns(except, columns, left) {
      const some = new RowPlan(columns.map((column) => reading.copied[column]!))
      return canonical({ ...encoding, plan: some }, except, left)
    },
    encodeText: (rows) => encodeText(list.pick(rows), encoding),
    rejectsOf: (refusals) =>
      finder.rejects(refusals.map((refusal) => reasonOf(refusal, originOf(refusal.row)))),
    originOf,
    hasMade({ record, part }) {
      const row = recordOfRow.indexOf(record)
      const batch = batches.findLast(({ firstIndexRow: first }) => first <= row)
      return batch?.lineage?.has(row - batch.firstIndexRow, part) ?? false
    },
  }
}

function reasonOf({ sqlstate, message, column, constraint }: Refusal, origin: RowOrigin): Reason {
  return { ...origin, code: sqlstate, message, column, constraint }
}

function originIn(
  { chunk, lineage, firstIndexRow }: Batch,
  row: number,
  recordOfRow: Int32Array,
): RowOrigin {
  const record = recordOfRow[firstIndexRow + (chunk.records?.[row] ?? row)]!
  return { record, part: lineage?.partOf(row) ?? [] }
}

/** The batch without rows that are not wanted. */
function wantedOf(batch: Batch, recordOfRow: Int32Array, wants: CarefulReading['wants']): Batch {
  if (wants === undefined) return batch
  const { chunk } = batch
  const rows = chunk.selection ?? Int32Array.from({ length: chunk.rowCount }, (_, row) => row)
  const selection = rows.filter((row) => {
    const { record, part } = originIn(batch, row, recordOfRow)
    return wants(record, part)
  })
  return selection.length === rows.length ? batch : { ...batch, chunk: { ...chunk, selection } }
}

/** A row of the index, and the record that it is. */
interface BadRow extends BadRecord {
  readonly row: number
}

/** The rows with bytes that are no text. Those of a comment are found with the record behind it, and are nothing of it. */
function badTextsOf(
  engine: CsvEngine,
  fields: Fields,
  recordOfRow: Int32Array,
  bytes: Buffer,
): BadRow[] {
  let row = 0
  return findBadTexts(engine, bytes).flatMap((found) => {
    while (row < recordOfRow.length && recordOfRow[row]! < found.record) row++
    return recordOfRow[row] === found.record && !isText(fields, row) ? [{ ...found, row }] : []
  })
}

/** Whether PostgreSQL can keep the fields of a row as text. */
function isText({ bytes, offsets, fieldCount }: Fields, row: number): boolean {
  for (let k = row * fieldCount * 2; k < (row + 1) * fieldCount * 2; k += 2) {
    const from = offsets[k]!
    if (from < 0) continue
    const to = offsets[k + 1]!
    const field = bytes.subarray(from, to < 0 ? ~to : to)
    if (!isUtf8(field) || field.includes(0)) return false
  }
  return true
}

/** Which record of the range each row of the index is: those that are no rows are left out. */
function recordsOfRows(rowCount: number, notRows: readonly number[]): Int32Array {
  const left = notRows.toSorted((a, b) => a - b)
  const records = new Int32Array(rowCount)
  let next = 0
  for (let row = 0, record = 0; row < rowCount; record++) {
    if (left[next] === record) next++
    else records[row++] = record
  }
  return records
}

/** The chunk without some rows of the index, given in ascending order. */
function without(chunk: Chunk, firstIndexRow: number, rows: readonly BadRow[]): Chunk {
  const { rowCount } = chunk
  const left = rows.flatMap(({ row }) => {
    const here = row - firstIndexRow
    return here >= 0 && here < rowCount ? [here] : []
  })
  if (left.length === 0) return chunk
  const selection = new Int32Array(rowCount - left.length)
  let next = 0
  for (let row = 0, i = 0; row < rowCount; row++) {
    if (left[next] === row) next++
    else selection[i++] = row
  }
  return { ...chunk, selection }
}

/** Finds records of a range by their numbers. */
class RecordFinder {
  readonly #engine: CsvEngine
  readonly #lineEnd: CsvDialect['lineEnd']
  readonly #bytes: Buffer
  readonly #source: RangeBytes

  constructor({ engine, input }: CarefulReading, bytes: Buffer, source: RangeBytes) {
    this.#engine = engine
    this.#lineEnd = input.dialect.lineEnd
    this.#bytes = bytes
    this.#source = source
  }

  /** In the order of the input. */
  rejects(reasons: readonly Reason[]): Reject[] {
    const { range } = this.#source
    let start = FIRST
    return reasons
      .toSorted((a, b) => a.record - b.record)
      .map(({ record, part, code, message, column, constraint, stage }) => {
        start = recordNumber(this.#engine, this.#bytes, record, start)
        const next = recordNumber(this.#engine, this.#bytes, record + 1, start)
        return {
          record: range.firstRecord + record,
          line: range.firstLine + start.lines,
          byte: range.start + start.byte,
          part,
          raw: withoutLineEnd(this.#bytes.subarray(start.byte, next.byte), this.#lineEnd),
          column: column ?? null,
          code,
          constraint: constraint ?? null,
          message,
          stage: stage ?? null,
        }
      })
  }
}

/** A carriage return before the line feed is one of the record's own bytes, where lines do not end so. */
function withoutLineEnd(bytes: Buffer, lineEnd: CsvDialect['lineEnd']): Buffer {
  let end = bytes.length
  if (lineEnd !== 'cr' && bytes[end - 1] === 10) end--
  if (lineEnd !== 'lf' && bytes[end - 1] === 13) end--
  return bytes.subarray(0, end)
}
