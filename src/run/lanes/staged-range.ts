import { type Chunk, chunkOf, countRows } from '../../chunk/chunk.ts'
import { FieldText } from '../../chunk/column.ts'
import type { Decode } from '../../chunk/decode.ts'
import type { Fields } from '../../chunk/fields.ts'
import type { ResidentRows } from '../../copy/binary/resident-rows.ts'
import {
  addStats,
  type StageFailure,
  type StageList,
  type StageStats,
} from '../../stage/stage-list.ts'
import type { RangeQuestions } from './lane-questions.ts'
import type { RangeReading } from './range-reader.ts'

/**
 * Rows that are taken through the stages and encoded at a time.
 *
 * Why: the values of so few rows stay in a core's cache, and most are garbage before the collector looks at them: map is
 *      four times as fast as over a range of 60,000.
 */
const BATCH_ROWS = 2048

/** A range, and how its rows are found. */
export interface RangeSource {
  readonly bytes: Buffer
  readonly records: number
  readonly checksum: number
  /** What indexes rows out of nothing but the ordinary; null when their engine has to do it all. */
  readonly resident: ResidentRows | null
  /** Has the engine index what is left from a byte on, before which there are so many rows. */
  index(byte: number, row: number): Fields
  /** The error for a row that a stage could not take. */
  errorOf(failure: StageFailure): Error
  /** Takes what the stages ask; null where they do not. */
  readonly asked: RangeQuestions | null
}

/** Some rows that have come through the stages. */
interface Batch extends Pick<Chunk, 'selection' | 'records'> {
  readonly firstRow: number
  readonly firstIndexRow: number
}

/** The rows of a range on their way through the stages, some at a time. */
export class StagedRange implements RangeReading {
  readonly straight = null
  readonly resident: ResidentRows | null
  readonly checksum: number
  readonly #source: RangeSource
  readonly #decoders: readonly Decode[]
  readonly #stages: StageList
  readonly #batches: Batch[] = []
  #ended = false
  #count = 0
  readonly #stats: StageStats[] = []
  #facts: readonly unknown[] = []

  constructor(source: RangeSource, decoders: readonly Decode[], stages: StageList) {
    this.resident = source.resident
    this.checksum = source.checksum
    this.#source = source
    this.#decoders = decoders
    this.#stages = stages
  }

  get count(): number {
    return this.#ended ? this.#count : this.#source.records
  }

  get added(): number {
    return this.#stats.reduce((sum, { added }) => sum + added, 0)
  }

  get facts(): string | null {
    const isKnown = this.#ended && this.#facts.some((one) => one !== null)
    return isKnown ? JSON.stringify(this.#facts) : null
  }

  get stats(): readonly StageStats[] {
    return this.#stats
  }

  /** Errors: SOURCE_BAD_ROW for a record that cannot become a row, STAGE_* for a row that a stage cannot take. */
  async *chunks(): AsyncGenerator<Chunk> {
    const { bytes, resident } = this.#source
    let byte = 0
    let row = 0
    while (resident !== null && byte < bytes.length) {
      const found = resident.index(bytes, byte)
      if (found === null) break
      yield await this.#stage(found.fields, new FieldText(found.fields), row)
      byte = found.end
      row += found.fields.rowCount
    }
    if (byte < bytes.length) {
      const fields = this.#source.index(byte, row)
      const text = new FieldText(fields)
      for (const batch of batchesOf(fields)) {
        yield await this.#stage(batch, text, row)
        row += batch.rowCount
      }
    }
    this.#ended = true
    this.#source.asked?.end()
  }

  async #stage(fields: Fields, text: FieldText, firstIndexRow: number): Promise<Chunk> {
    const given = chunkOf(fields, this.#decoders, text)
    const { chunk, stats, failures, facts } = await this.#stages.apply(
      given,
      this.#source.asked?.ask,
    )
    const failure = failures.toSorted((a, b) => a.record - b.record)[0]
    if (failure !== undefined) {
      throw this.#source.errorOf({ ...failure, record: firstIndexRow + failure.record })
    }
    this.#facts = this.#stages.mergeFacts(this.#facts, facts)
    const { selection, records } = chunk
    this.#batches.push({ firstRow: this.#count, firstIndexRow, selection, records })
    this.#count += countRows(chunk)
    stats.forEach((stage, i) => (this.#stats[i] = addStats(this.#stats[i], stage)))
    return chunk
  }

  indexRow(row: number): number {
    const batch = this.#batches.findLast(({ firstRow }) => firstRow <= row)
    if (batch === undefined) return row
    const { firstRow, firstIndexRow, selection, records } = batch
    const inChunk = selection?.[row - firstRow] ?? row - firstRow
    return firstIndexRow + (records?.[inChunk] ?? inChunk)
  }
}

/** The rows of an index, as many at a time as are taken through the stages. */
export function* batchesOf(fields: Fields): Generator<Fields> {
  for (let first = 0; first < fields.rowCount; first += BATCH_ROWS) yield partOf(fields, first)
}

/** Some rows of an index. */
function partOf(fields: Fields, first: number): Fields {
  const rowCount = Math.min(BATCH_ROWS, fields.rowCount - first)
  const width = fields.fieldCount * 2
  const offsets = fields.offsets.subarray(first * width, (first + rowCount) * width)
  return { ...fields, rowCount, offsets }
}
