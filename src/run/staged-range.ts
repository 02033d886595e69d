import { type Chunk, chunkOf, countRows } from '../chunk/chunk.ts'
import { FieldText } from '../chunk/column.ts'
import type { Decode } from '../chunk/decode.ts'
import type { Fields } from '../chunk/fields.ts'
import {
  addStats,
  type StageFailure,
  type StageList,
  type StageStats,
} from '../stage/stage-list.ts'
import type { RangeReading } from './range-reader.ts'

/**
 * Rows that are taken through the stages and encoded at a time.
 *
 * Why: the values of so few rows stay in a core's cache, and most are garbage before the collector looks at them.
 */
const BATCH_ROWS = 2048

/** The rows of a range on their way through the stages, some at a time. */
export class StagedRange implements RangeReading {
  readonly straight = null
  readonly checksum: number
  readonly #fields: Fields
  readonly #decoders: readonly Decode[]
  readonly #stages: StageList
  readonly #errorOf: (failure: StageFailure) => Error
  readonly #batches: {
    firstRow: number
    firstIndexRow: number
    chunk: Pick<Chunk, 'selection' | 'records'>
  }[] = []
  #ended = false
  #count = 0
  #stats: readonly StageStats[] = []

  constructor(
    fields: Fields,
    decoders: readonly Decode[],
    stages: StageList,
    checksum: number,
    errorOf: (failure: StageFailure) => Error,
  ) {
    this.checksum = checksum
    this.#fields = fields
    this.#decoders = decoders
    this.#stages = stages
    this.#errorOf = errorOf
  }

  get count(): number {
    return this.#ended ? this.#count : this.#fields.rowCount
  }

  get added(): number {
    return this.#stats.reduce((sum, { added }) => sum + added, 0)
  }

  get stats(): readonly StageStats[] {
    return this.#stats
  }

  /** Errors: STAGE_* for the first row that a stage cannot take. */
  async *chunks(): AsyncGenerator<Chunk> {
    const { rowCount } = this.#fields
    const text = new FieldText(this.#fields)
    for (let first = 0; first < rowCount; first += BATCH_ROWS) {
      const part = partOf(this.#fields, first, Math.min(BATCH_ROWS, rowCount - first))
      const { chunk, stats, failures } = await this.#stages.apply(
        chunkOf(part, this.#decoders, text),
      )
      const failure = failures.toSorted((a, b) => a.record - b.record)[0]
      if (failure !== undefined) {
        throw this.#errorOf({ ...failure, record: first + failure.record })
      }
      const { selection, records } = chunk
      this.#batches.push({
        firstRow: this.#count,
        firstIndexRow: first,
        chunk: { selection, records },
      })
      this.#count += countRows(chunk)
      this.#stats = stats.map((stage, i) => addStats(this.#stats[i], stage))
      yield chunk
    }
    this.#ended = true
  }

  indexRow(row: number): number {
    const batch = this.#batches.findLast(({ firstRow }) => firstRow <= row)
    if (batch === undefined) return row
    const { firstRow, firstIndexRow, chunk } = batch
    const inChunk = chunk.selection?.[row - firstRow] ?? row - firstRow
    return firstIndexRow + (chunk.records?.[inChunk] ?? inChunk)
  }
}

/** Some rows of an index. */
function partOf(fields: Fields, first: number, rowCount: number): Fields {
  const width = fields.fieldCount * 2
  const offsets = fields.offsets.subarray(first * width, (first + rowCount) * width)
  return { ...fields, rowCount, offsets }
}
