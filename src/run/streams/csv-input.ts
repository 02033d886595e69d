import type { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import { chunkOf } from '../../chunk/chunk.ts'
import { FieldText } from '../../chunk/column.ts'
import { decoderOf } from '../../chunk/decode.ts'
import { inputChanged } from '../../checkpoint/refusals.ts'
import type { Position } from '../../chunk/range.ts'
import type { Row, RowOf } from '../../chunk/value.ts'
import { ConfigError } from '../../core/errors.ts'
import type { ByteSource } from '../../source/bytes/byte-source.ts'
import { cut } from '../../source/csv/cut.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import { openInput } from '../../source/open.ts'
import { placeOfRow } from '../lanes/bad-row.ts'
import { BufferPool } from '../lanes/buffer-pool.ts'
import { columnsOf, givenFields } from '../job/field-types.ts'
import { columnNames, type CsvStart, readStart } from '../input/header.ts'
import { indexRange } from '../lanes/index-range.ts'
import type { RangeBytes } from '../lanes/lane-protocol.ts'
import { batchesOf } from '../lanes/staged-range.ts'
import { readableOf } from './readable-of.ts'
import {
  StreamChunk,
  type StreamOrigin,
  type StreamPlace,
  type StreamSchema,
} from './stream-chunk.ts'

const MAX_RECORD = 16 << 20
const CHUNK_BYTES = 8 << 20
/** Fields of a range, about: 8 MiB of offsets. */
const MOST_FIELDS = 1 << 20

export interface CsvOptions<Types extends Readonly<Record<string, string>>> {
  /** What is known of the dialect; the rest is found out from the start of the input. */
  readonly dialect?: Partial<CsvDialect> | undefined
  /** Names for the fields, in their order: for a file without a header, or instead of its own. */
  readonly columns?: readonly string[] | undefined
  /** Types of columns by their names: what stages see of them. In a stream of chunks all others are text. */
  readonly types?: Types | undefined
}

/** A CSV input whose rows have a known type. */
export interface CsvInput<R extends object = Row> extends CsvOptions<
  Readonly<Record<string, string>>
> {
  readonly input: string | Readable
  /**
   * Its chunks, from a position on: where an earlier reader has stopped.
   *
   * Errors: as those of load() for an input that cannot be read; CHECKPOINT_INPUT_CHANGED when it ends before.
   */
  chunks(from?: Position | null): Readable
  /** For the compiler alone. */
  readonly row?: R
}

/** The columns that are named, or whatever there are. */
type RowsOf<Types extends Readonly<Record<string, string>>> = [keyof Types] extends [never]
  ? Row
  : RowOf<Types>

/** The rows of a source. */
export type RowOfInput<Input> = Input extends { readonly row?: infer R | undefined } ? R : never

/**
 * A CSV file, or a stream of CSV text, for `load({ input })` or as a stream of chunks.
 *
 * Shape: `csv('trips.csv', { types: { id: 'int8', fare: 'numeric' } })`: to TypeScript a row then has these columns, and no
 *        others; without types it has columns of any name.
 */
export function csv<const Types extends Readonly<Record<string, string>> = Record<never, string>>(
  input: string | Readable,
  options: CsvOptions<Types> = {},
): CsvInput<RowsOf<Types>> {
  return {
    input,
    ...options,
    chunks(from = null) {
      const opened = openInput(input)
      opened.catch(() => undefined) // the reader hears of it
      const close = (): Promise<void> =>
        opened.then((source) => source.close()).catch(() => undefined)
      return readableOf(readChunks(opened, options, from), close)
    },
  }
}

async function* readChunks(
  opened: Promise<ByteSource>,
  options: CsvOptions<Readonly<Record<string, string>>>,
  from: Position | null,
): AsyncGenerator<StreamChunk> {
  const source = await opened
  const found = await readStart(source, options.dialect ?? {}, MAX_RECORD)
  const start = options.columns === undefined ? found : { ...found, names: options.columns }
  const schema = schemaOf(start, options)
  const { engine, fieldCount } = start
  if (from !== null) requireReaching(source, from)
  const chunkRecords = Math.max(1, Math.floor(MOST_FIELDS / Math.max(1, fieldCount)))
  const limits = { chunkSize: CHUNK_BYTES, chunkRecords, maxRecord: MAX_RECORD }
  const buffers = new BufferPool(CHUNK_BYTES, Infinity)
  const origin = originOf(start, schema, from)
  const end = source.size
  for await (const piece of cut(source, engine, from ?? start.data, end, limits, buffers)) {
    yield* chunksOf(piece, start, origin, schema)
  }
  await source.verify()
}

/** What is shorter than where an earlier reader has stopped is another input, which would pass for one at its end. */
function requireReaching({ name, size }: ByteSource, { byte }: Position): void {
  if (size === null || byte <= size) return
  throw inputChanged(name, `it has ${String(size)} bytes, ${String(byte)} were read before`)
}

function schemaOf(
  start: CsvStart,
  { columns, types = {} }: CsvOptions<Readonly<Record<string, string>>>,
): StreamSchema {
  if (columns !== undefined && columns.length !== start.fieldCount) {
    const message = `columns names ${String(columns.length)}, the input has ${String(start.fieldCount)} fields`
    throw new ConfigError('CONFIG_BAD_VALUE', message)
  }
  const names = columnNames(start)
  const unknown = Object.keys(types).find((name) => !names.includes(name))
  if (unknown !== undefined) {
    const message = `types names column ${JSON.stringify(unknown)}, which the input does not have`
    const known = names.map((name) => JSON.stringify(name)).join(', ')
    throw new ConfigError('CONFIG_UNKNOWN_COLUMN', message, { hint: `its columns are ${known}` })
  }
  const fields = givenFields(names, types)
  return { slots: fields.length, columns: columnsOf(fields), stages: [] }
}

function originOf(
  { source: { name, identity }, dialect }: CsvStart,
  { columns }: StreamSchema,
  from: Position | null,
): StreamOrigin {
  const typed = columns.filter(({ type }) => type !== 'text')
  const types = typed.map((column) => `${column.name} ${column.type ?? ''}`)
  const read = { ...dialect, ...(types.length > 0 && { types }) }
  return { name, identity, dialect: read, isContinued: from !== null }
}

function* chunksOf(
  source: RangeBytes,
  { engine, dialect, fieldCount }: CsvStart,
  origin: StreamOrigin,
  schema: StreamSchema,
): Generator<StreamChunk> {
  const input = { source: origin.name, dialect, fieldCount }
  const index = indexRange(engine, input, source)
  // The engine's own are used again for the next range, while chunks of this one are still on their way.
  const offsets = index.offsets.slice(0, index.rowCount * index.fieldCount * 2)
  const fields = { ...index, offsets }
  const text = new FieldText(fields)
  const decoders = schema.columns.map(({ type }) => decoderOf(type ?? 'text'))
  const checksum = crc32(fields.bytes)
  let before = 0
  let ordinal = 0
  // A range of nothing but skipped lines is a chunk too: it is committed like others.
  const batches = fields.rowCount === 0 ? [fields] : batchesOf(fields)
  for (const batch of batches) {
    const first = before
    before += batch.rowCount
    const place: StreamPlace = {
      origin,
      range: source.range,
      checksum,
      ordinal: ordinal++,
      isLast: before === fields.rowCount,
      whereIs: (record) => placeOfRow(first + record, { engine, input }, source),
    }
    yield new StreamChunk(chunkOf(batch, decoders, text), schema, place)
  }
}
