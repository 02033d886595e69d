import type { Chunk } from '../chunk/chunk.ts'
import type { CsvRowEncoder } from './binary/csv-rows.ts'
import type { ResidentRows } from './binary/resident-rows.ts'
import { BINARY_HEADER, BINARY_TRAILER, encodeBinaryRows } from './binary/rows.ts'
import { type BlockPool, growBlock, isEmpty } from './block-pool.ts'
import { Kind } from './kinds.ts'
import { type Block, ChunkRows, type RowCursor, type RowEncoder, type RowPlan } from './rows.ts'
import { encodeTextRows } from './text-rows.ts'

export type CopyFormat = 'binary' | 'text'

/** Data for one COPY: blocks of the same format, from the first with `begins` to the last with `ends`. */
export interface CopyPart {
  readonly format: CopyFormat
  readonly block: Block
  /** The row of the range with which this COPY began. */
  readonly firstRow: number
  readonly begins: boolean
  readonly ends: boolean
}

/** The rows of a range, for the encoder. */
export interface RangeRows {
  /** CSV bytes that rows can be read from without an index, as far as they go; null when an index is needed. */
  readonly straight: { readonly bytes: Buffer; readonly encoder: CsvRowEncoder } | null
  /** What has indexed the chunks, and encodes faster what is left of its fields; null when that is the engine. */
  readonly resident: ResidentRows | null
  /** The rows from a byte on, before which there are so many rows, chunk by chunk; a chunk is used up before the next. */
  chunks(byte: number, row: number): AsyncIterable<Chunk> | Iterable<Chunk>
}

/** A way from rows to bytes. */
interface Road {
  /** Writes rows into a block and moves the cursor. */
  encode(block: Block): void
  /** Goes on behind the rows that it has; false at the end of the range. */
  more(): Promise<boolean>
}

/**
 * Encodes a range, block by block, on the fastest road that its next row can take: straight from CSV bytes to COPY
 * binary; over an index to COPY binary, from the first row with anything out of the ordinary; as COPY text, in a COPY
 * of its own in the same transaction, from the first row with a value that is not canonical: the server reads it then.
 *
 * Why: deciding for the whole range beforehand would mean holding its encoded form in memory, up to seven times its
 *      size, before the first byte is sent.
 */
export async function* encodeChunk(
  rows: RangeRows,
  plan: RowPlan,
  cursor: RowCursor,
  pool: BlockPool,
): AsyncGenerator<CopyPart> {
  cursor.rewind()
  const chunks = new ChunkFeed(rows, plan, cursor)
  if (!plan.kinds.includes(Kind.server)) {
    const binary: Road[] = [chunks.road((block) => encodeBinaryRows(cursor, plan, block))]
    const { straight, resident } = rows
    if (resident !== null) binary.unshift(chunks.road((block) => resident.encode(cursor, block)))
    if (straight !== null) {
      const { bytes, encoder } = straight
      binary.unshift({
        encode: (block) => encoder.encode(cursor, bytes, block),
        more: () => Promise.resolve(false),
      })
    }
    yield* encodeAs('binary', binary, cursor, pool)
    if (cursor.stop === 'end') return
  }
  const text = chunks.road((block) => encodeTextRows(cursor, plan, block))
  yield* encodeAs('text', [text], cursor, pool)
}

/** What rows of some chunks are encoded with. */
export interface ChunkEncoding {
  readonly plan: RowPlan
  readonly cursor: RowCursor
  /** Writes COPY binary. */
  readonly encoder: RowEncoder
  readonly pool: BlockPool
}

/**
 * Encodes rows of some chunks as one COPY, binary where the plan allows it; rows that binary cannot take are left out, and
 * told of by their numbers: the server has to read them, or to refuse them.
 */
export async function* encodeCanonical(
  chunks: Iterable<Chunk>,
  encoding: ChunkEncoding,
  onLeft: (row: number) => void,
): AsyncGenerator<CopyPart> {
  const { plan, cursor, encoder, pool } = encoding
  if (plan.kinds.includes(Kind.server)) {
    yield* encodeText(chunks, encoding)
    return
  }
  cursor.rewind()
  const feed = new ChunkFeed({ straight: null, resident: null, chunks: () => chunks }, plan, cursor)
  const road = feed.road((block) => {
    for (;;) {
      encoder.encode(cursor, plan, block)
      if (cursor.stop !== 'not-canonical') return
      onLeft(cursor.row++)
    }
  })
  yield* encodeAs('binary', [road], cursor, pool)
}

/** Encodes all rows of some chunks as one COPY text. */
export async function* encodeText(
  chunks: Iterable<Chunk>,
  { plan, cursor, pool }: Omit<ChunkEncoding, 'encoder'>,
): AsyncGenerator<CopyPart> {
  cursor.rewind()
  const feed = new ChunkFeed({ straight: null, resident: null, chunks: () => chunks }, plan, cursor)
  yield* encodeAs('text', [feed.road((block) => encodeTextRows(cursor, plan, block))], cursor, pool)
}

/** The chunks of a range, from where the cursor is when the first is asked for. */
class ChunkFeed {
  readonly #rows: RangeRows
  readonly #plan: RowPlan
  readonly #cursor: RowCursor
  #chunks: AsyncIterator<Chunk> | Iterator<Chunk> | null = null

  constructor(rows: RangeRows, plan: RowPlan, cursor: RowCursor) {
    this.#rows = rows
    this.#plan = plan
    this.#cursor = cursor
  }

  /** A road over the chunks; where one road stops another can go on. */
  road(encode: (block: Block) => void): Road {
    return {
      encode: (block) => {
        if (this.#chunks === null) this.#cursor.stop = 'end'
        else encode(block)
      },
      more: () => this.#next(),
    }
  }

  async #next(): Promise<boolean> {
    const { byte, row } = this.#cursor
    this.#chunks ??= iteratorOf(this.#rows.chunks(byte, row))
    const { done, value } = await this.#chunks.next()
    if (done === true) return false
    this.#cursor.enter(new ChunkRows(value, this.#plan))
    return true
  }
}

function iteratorOf<T>(items: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
}

/** One COPY. Where a road stops the next one goes on in the same block. */
async function* encodeAs(
  format: CopyFormat,
  roads: Road[],
  cursor: RowCursor,
  pool: BlockPool,
): AsyncGenerator<CopyPart> {
  const firstRow = cursor.row
  let begins = true
  do {
    let block = await pool.take()
    if (begins && format === 'binary') append(block, BINARY_HEADER)
    const start = block.length
    await encodeOnce(roads, cursor, block)
    while (cursor.stop === 'full' && block.length === start) {
      block = growBlock(block)
      await encodeOnce(roads, cursor, block)
    }
    if (cursor.stop !== 'full' && cursor.row === firstRow) {
      pool.give(block)
      return
    }
    const ends = cursor.stop !== 'full'
    if (ends && format === 'binary') {
      if (block.length + BINARY_TRAILER.length > block.buffer.length) block = growBlock(block)
      append(block, BINARY_TRAILER)
    }
    if (isEmpty(block)) throw new Error('an empty block was encoded')
    yield { format, block, firstRow, begins, ends }
    begins = false
  } while (cursor.stop === 'full')
}

async function encodeOnce(roads: Road[], cursor: RowCursor, block: Block): Promise<void> {
  for (;;) {
    const road = roads[0]!
    road.encode(block)
    if (cursor.stop === 'full') return
    if (cursor.stop === 'end') {
      if (!(await road.more())) return
    } else if (roads.length === 1) return
    else roads.shift()
  }
}

function append(block: Block, bytes: Buffer): void {
  bytes.copy(block.buffer, block.length)
  block.length += bytes.length
}
