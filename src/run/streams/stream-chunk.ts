import { type Chunk, countRows } from '../../chunk/chunk.ts'
import type { Range } from '../../chunk/range.ts'
import { type ColumnInfo, RowReader } from '../../chunk/row-reader.ts'
import type { Row } from '../../chunk/value.ts'
import { ConfigError, type Where } from '../../core/errors.ts'
import type { InputIdentity } from '../../source/bytes/byte-source.ts'

/** The input that chunks come from. */
export interface StreamOrigin {
  readonly name: string
  /** Null for one that cannot be recognised. */
  readonly identity: InputIdentity | null
  /** What decides how it is read. */
  readonly dialect: object
  /** Whether it is read from a position on: what came before is not known. */
  readonly isContinued: boolean
}

/** What is known of a chunk beside its rows. */
export interface StreamPlace {
  readonly origin: StreamOrigin
  /** What is committed at a time: this chunk is some of its rows. */
  readonly range: Range
  /** CRC-32 of the range's bytes; 0 where there are none. */
  readonly checksum: number
  /** Which of the range's chunks it is, from 0. */
  readonly ordinal: number
  readonly isLast: boolean
  /** Where the record of a row is that was in the chunk as it was read. */
  whereIs(record: number): Where
}

/** What stages have made of a chunk. */
export interface StreamSchema {
  /** By slot, the columns that a later stage may still add come behind. */
  readonly slots: number
  readonly columns: readonly ColumnInfo[]
  /** The stages it has come through, one line each. */
  readonly stages: readonly string[]
}

/**
 * Some rows of an input, some thousand at most, on their way through streams.
 *
 * Shape: chunks come in the order of the input, also those without rows.
 */
export class StreamChunk<R extends object = Row> {
  /** @internal */
  readonly data: Chunk
  /** @internal */
  readonly schema: StreamSchema
  /** @internal */
  readonly place: StreamPlace
  /** Rows beyond the first that stages made of a record. */
  readonly added: number

  constructor(data: Chunk, schema: StreamSchema, place: StreamPlace, added = 0) {
    this.data = data
    this.schema = schema
    this.place = place
    this.added = added
  }

  /** Names and types of the columns, in their order. */
  get columns(): readonly Pick<ColumnInfo, 'name' | 'type'>[] {
    return this.schema.columns
  }

  get rowCount(): number {
    return countRows(this.data)
  }

  /** The range of the input that these rows are a part of. */
  get range(): Range {
    return this.place.range
  }

  /** The rows, one after the other: one object for all of them, whose properties are decoded when they are read. */
  *rows(): Generator<R> {
    const reader = new RowReader<R>(this.schema.columns)
    reader.enter(this.data)
    const { selection } = this.data
    for (let i = 0; i < this.rowCount; i++) yield reader.at(selection?.[i] ?? i)
  }

  /** Where a row of `rows()` comes from. */
  where(row: number): Where {
    return whereIs(this.place, this.data, row)
  }
}

/** Where a row that is in comes from. */
export function whereIs(
  place: StreamPlace,
  { selection, records }: Pick<Chunk, 'selection' | 'records'>,
  row: number,
): Where {
  const inChunk = selection?.[row] ?? row
  return place.whereIs(records?.[inChunk] ?? inChunk)
}

/** Errors: CONFIG_USAGE for what a stream of something else has given. */
export function requireChunk(given: unknown): asserts given is StreamChunk {
  if (given instanceof StreamChunk) return
  const message = 'the stream gives no chunks'
  throw new ConfigError('CONFIG_USAGE', message, {
    hint: 'make them of a CSV input with csv(input).chunks(), of objects with fromRows(rows, { columns }).chunks()',
  })
}
