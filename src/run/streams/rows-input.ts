import type { Readable } from 'node:stream'
import type { Chunk } from '../../chunk/chunk.ts'
import { type Column, ValueColumn } from '../../chunk/column.ts'
import type { Position } from '../../chunk/range.ts'
import type { Result, RowOf } from '../../chunk/value.ts'
import { inputChanged } from '../../checkpoint/refusals.ts'
import { Kind } from '../../copy/kinds.ts'
import { valueText } from '../../copy/value-text.ts'
import { columnsOf, givenFields } from '../job/field-types.ts'
import { RowBatches, type RowObjects } from './row-batches.ts'
import { readableOf } from './readable-of.ts'
import { StreamChunk, type StreamPlace, type StreamSchema } from './stream-chunk.ts'

export interface RowsOptions<Types extends Readonly<Record<string, string>>> {
  /** The keys to take, with the types of their columns. */
  readonly columns: Types
  /** For messages and the checkpoint; `rows` by default. */
  readonly name?: string | undefined
}

/** A source of a service's own. */
export interface RowsInput<R extends object> {
  /**
   * Its chunks, from a position on: rows before it are taken from the iterable and left out, so it has to give the same
   * rows again.
   */
  chunks(from?: Position | null): Readable
  /** For the compiler alone. */
  readonly row?: R
}

/**
 * An iterable of objects, asynchronous or not, as a source of chunks.
 *
 * Shape:  a row is counted as a byte in ranges and positions. Missing keys are NULL, keys that are not named are left out.
 * Errors: of the stream: what the iterable throws; SOURCE_BAD_ROW for what is no object; CHECKPOINT_INPUT_CHANGED when it
 *         ends before the position.
 */
export function fromRows<const Types extends Readonly<Record<string, string>>>(
  rows: RowObjects,
  { columns, name = 'rows' }: RowsOptions<Types>,
): RowsInput<RowOf<Types>> {
  return {
    chunks(from = null) {
      const batches = new RowBatches(rows)
      batches.begin(Object.keys(columns), 'left out')
      const close = (): Promise<void> => {
        batches.interrupt(new Error('the stream of rows was destroyed'))
        batches.close()
        return Promise.resolve()
      }
      return readableOf(readChunks(batches, name, columns, from), close)
    },
  }
}

async function* readChunks(
  batches: RowBatches,
  name: string,
  types: Readonly<Record<string, string>>,
  from: Position | null,
): AsyncGenerator<StreamChunk> {
  const columns = columnsOf(givenFields(Object.keys(types), types))
  const schema: StreamSchema = { slots: columns.length, columns, stages: [] }
  const origin = {
    name,
    identity: null,
    dialect: { columns: columns.map((one) => `${one.name} ${one.type ?? ''}`) },
    isContinued: from !== null,
  }
  const done = from?.byte ?? 0
  let at = await batches.skip(done)
  if (at < done) {
    const message = `it has ${String(at)} rows, ${String(done)} were taken before`
    throw inputChanged(name, message)
  }
  for await (const taken of batches.take(Infinity)) {
    const chunk = keep(taken)
    batches.encoded(bytesOf(chunk.columns), 1)
    const start = at
    at += chunk.rowCount
    const place: StreamPlace = {
      origin,
      range: {
        start,
        end: at,
        firstRecord: start + 1,
        firstLine: start + 1,
        records: chunk.rowCount,
        lines: chunk.rowCount,
      },
      checksum: 0,
      ordinal: 0,
      isLast: true,
      whereIs: (record) => ({ source: name, record: start + record + 1 }),
    }
    yield new StreamChunk(chunk, schema, place)
  }
}

/** The chunk with values of its own: those of the batches are used again for the next. */
function keep(chunk: Chunk): Chunk {
  const columns = chunk.columns.map((column) => {
    const { values } = column as ValueColumn
    return new ValueColumn(values.slice(0, chunk.rowCount))
  })
  return { ...chunk, columns }
}

/** About what a chunk's first row takes. */
function bytesOf(columns: readonly Column[]): number {
  return columns.reduce((sum, column) => sum + 8 + lengthOf(column.value(0)), 0)
}

function lengthOf(value: Result): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length
  try {
    return valueText(value, Kind.text)?.length ?? 0
  } catch {
    return 0 // whoever encodes it says what is wrong
  }
}
