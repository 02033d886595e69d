import type { Chunk } from '../chunk/chunk.ts'
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
  /** The chunk's row with which this COPY began. */
  readonly firstRow: number
  readonly begins: boolean
  readonly ends: boolean
}

/**
 * Encodes a chunk, block by block, as COPY binary; from the first row on that has a value which is not canonical, the
 * rest goes as COPY text in a COPY of its own, in the same transaction, and the server reads those values itself.
 *
 * Why: deciding for the whole chunk beforehand would mean holding its encoded form in memory, up to seven times its
 *      size, before the first byte is sent.
 */
export async function* encodeChunk(
  chunk: Chunk,
  plan: RowPlan,
  cursor: RowCursor,
  pool: BlockPool,
): AsyncGenerator<CopyPart> {
  cursor.start(chunk)
  if (chunk.rowCount === 0) return
  const startsAsText = plan.kinds.includes(Kind.server)
  if (!startsAsText) {
    yield* encodeAs('binary', plan, cursor, pool)
    if (cursor.stop === 'end') return
  }
  yield* encodeAs('text', plan, cursor, pool)
}

async function* encodeAs(
  format: CopyFormat,
  plan: RowPlan,
  cursor: RowCursor,
  pool: BlockPool,
): AsyncGenerator<CopyPart> {
  const encode = format === 'binary' ? encodeBinaryRows : encodeTextRows
  const firstRow = cursor.row
  let begins = true
  do {
    let block = await pool.take()
    if (begins && format === 'binary') append(block, BINARY_HEADER)
    const start = block.length
    encode(cursor, plan, block)
    while (cursor.stop === 'full' && block.length === start) {
      block = growBlock(block)
      encode(cursor, plan, block)
    }
    if (cursor.stop === 'not-canonical' && cursor.row === firstRow) {
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

function append(block: Block, bytes: Buffer): void {
  bytes.copy(block.buffer, block.length)
  block.length += bytes.length
}
