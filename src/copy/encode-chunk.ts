import type { Chunk } from '../chunk/chunk.ts'
import type { CsvRowEncoder } from './binary/csv-rows.ts'
import { BINARY_HEADER, BINARY_TRAILER, encodeBinaryRows } from './binary/rows.ts'
import { type BlockPool, growBlock, isEmpty } from './block-pool.ts'
import { Kind } from './kinds.ts'
import type { Block, RowCursor, RowPlan } from './rows.ts'
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
  /** Indexes what is left from a byte on, before which there are so many rows. */
  index(byte: number, row: number): Chunk
}

/** Writes rows into a block and moves the cursor. */
type Encode = (block: Block) => void

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
  const { straight } = rows
  const binary: Encode[] = []
  let indexed = false
  const index = (): void => {
    if (!indexed) cursor.enter(rows.index(cursor.byte, cursor.row))
    indexed = true
  }
  if (!plan.kinds.includes(Kind.server)) {
    if (straight !== null) {
      const { bytes, encoder } = straight
      binary.push((block) => encoder.encode(cursor, bytes, block))
    }
    binary.push((block) => {
      index()
      encodeBinaryRows(cursor, plan, block)
    })
    yield* encodeAs('binary', binary, cursor, pool)
    if (cursor.stop === 'end') return
  }
  index()
  if (cursor.row - cursor.base === cursor.chunk.rowCount) return
  yield* encodeAs('text', [(block) => encodeTextRows(cursor, plan, block)], cursor, pool)
}

/** One COPY. Where a road stops the next one goes on in the same block. */
async function* encodeAs(
  format: CopyFormat,
  roads: Encode[],
  cursor: RowCursor,
  pool: BlockPool,
): AsyncGenerator<CopyPart> {
  const firstRow = cursor.row
  let begins = true
  do {
    let block = await pool.take()
    if (begins && format === 'binary') append(block, BINARY_HEADER)
    const start = block.length
    encodeOnce(roads, cursor, block)
    while (cursor.stop === 'full' && block.length === start) {
      block = growBlock(block)
      encodeOnce(roads, cursor, block)
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

function encodeOnce(roads: Encode[], cursor: RowCursor, block: Block): void {
  for (;;) {
    roads[0]!(block)
    if (cursor.stop !== 'not-canonical' || roads.length === 1) return
    roads.shift()
  }
}

function append(block: Block, bytes: Buffer): void {
  bytes.copy(block.buffer, block.length)
  block.length += bytes.length
}
