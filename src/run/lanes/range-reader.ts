import { crc32 } from 'node:zlib'
import { chunkOf } from '../../chunk/chunk.ts'
import { type Decode, decoderOf } from '../../chunk/decode.ts'
import { CsvRowEncoder, isInFileOrder } from '../../copy/binary/csv-rows.ts'
import { ResidentRows } from '../../copy/binary/resident-rows.ts'
import type { RangeRows } from '../../copy/encode-chunk.ts'
import type { RowPlan } from '../../copy/rows.ts'
import { findBadText } from '../../source/csv/check-text.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import type { StageList, StageStats } from '../../stage/stage-list.ts'
import { placeOfRow, stageFailureError } from './bad-row.ts'
import { indexFrom, indexRange } from './index-range.ts'
import type { RangeQuestions } from './lane-questions.ts'
import { StagedRange } from './staged-range.ts'
import type { FieldInfo, InputShape, RangeBytes } from './lane-protocol.ts'

/** What is read of a range: rows for the encoder, and what is known of them. */
export interface RangeReading extends RangeRows {
  /** Of the range's bytes. */
  readonly checksum: number
  /** Rows for the encoder: what is expected, and once it has them all, what they were. */
  readonly count: number
  /** How many of them stages made of a record beyond the first; as count. */
  readonly added: number
  readonly stats: readonly StageStats[]
  /** What stages have found out about them, as JSON; null where that is nothing, and until all are there. */
  readonly facts: string | null
  /** Which row of the index a row for the encoder was made of. */
  indexRow(row: number): number
}

/** What ranges are read with. */
export interface Reading {
  readonly engine: CsvEngine
  readonly input: InputShape
  readonly stages: StageList
  readonly fields: readonly FieldInfo[]
  readonly plan: RowPlan
}

/** Reads ranges for the encoder: through the stages, and without an index where there is nothing for them to do. */
export class RangeReader {
  readonly #engine: CsvEngine
  readonly #input: InputShape
  readonly #stages: StageList
  readonly #decoders: readonly Decode[]
  readonly #encoder: CsvRowEncoder | null
  readonly #resident: ResidentRows | null

  constructor({ engine, input, stages, fields, plan }: Reading) {
    this.#engine = engine
    this.#input = input
    this.#stages = stages
    this.#decoders = fields.map(({ type }) => decoderOf(type))
    const { structure } = engine
    const { fieldCount } = input
    const kernel = structure !== null && isInFileOrder(plan) ? structure : null
    const passes = stages.passesRows
    this.#encoder = kernel && passes ? new CsvRowEncoder(kernel, fieldCount, plan) : null
    this.#resident = kernel && !passes ? new ResidentRows(kernel, fieldCount, plan) : null
  }

  /**
   * Finds the fastest way to read the rows of a range; `asked` takes what the stages ask meanwhile.
   *
   * Errors: SOURCE_BAD_ROW for a record that cannot become a row, and STAGE_* for a row that a stage cannot take; here,
   *         or while the rows are encoded.
   */
  read(source: RangeBytes, asked: RangeQuestions | null): RangeReading {
    const bytes = Buffer.from(source.buffer, 0, source.length)
    const checksum = crc32(bytes)
    if (!this.#stages.passesRows) return this.#staged(source, bytes, checksum, asked)
    const encoder = this.#encoder
    const indexRow = (row: number): number => row
    const plain = { checksum, resident: null, added: 0, stats: [], facts: null, indexRow }
    if (encoder === null || !this.#isClean(bytes)) {
      const fields = indexRange(this.#engine, this.#input, source)
      const chunks = [chunkOf(fields)]
      return { ...plain, straight: null, chunks: () => chunks, count: fields.rowCount }
    }
    return {
      ...plain,
      straight: { bytes, encoder },
      chunks: (byte, row) => [chunkOf(indexFrom(this.#engine, this.#input, source, byte, row))],
      count: source.range.records,
    }
  }

  /** Whether bytes can be read without the engine, as far as their text goes. */
  #isClean(bytes: Buffer): boolean {
    return bytes.at(-1) === 10 && findBadText(this.#engine, bytes) === null
  }

  #staged(
    source: RangeBytes,
    bytes: Buffer,
    checksum: number,
    asked: RangeQuestions | null,
  ): RangeReading {
    const place = { engine: this.#engine, input: this.#input }
    return new StagedRange(
      {
        bytes,
        records: source.range.records,
        checksum,
        resident: this.#isClean(bytes) ? this.#resident : null,
        index: (byte, row) => indexFrom(this.#engine, this.#input, source, byte, row),
        errorOf: (failure) => stageFailureError(failure, placeOfRow(failure.record, place, source)),
        asked,
      },
      this.#decoders,
      this.#stages,
    )
  }
}
