import type { ClaimCounts } from '../../checkpoint/claims.ts'
import type { Chunk } from '../../chunk/chunk.ts'
import type { Range } from '../../chunk/range.ts'
import type { BlockPool } from '../../copy/block-pool.ts'
import { type CopyPart, encodeChunk } from '../../copy/encode-chunk.ts'
import type { RowCursor, RowPlan } from '../../copy/rows.ts'
import { toError, type Where } from '../../core/errors.ts'
import { Queue } from '../../core/queue.ts'
import type { EncodedChunk } from '../../target/chunk-transaction.ts'
import { type StreamChunk, type StreamPlace, whereIs } from './stream-chunk.ts'

/** A chunk that is handed over, and how its end is told. */
interface Handed {
  readonly chunk: StreamChunk
  readonly encoded: () => void
}

/** What tells where the rows of a chunk come from: its values are not kept. */
interface Passed extends Pick<Chunk, 'selection' | 'records'> {
  readonly firstRow: number
  readonly place: StreamPlace
}

/** The chunks of a range on their way to the server: each is encoded before the next is asked for. */
export class RangeFeed implements EncodedChunk {
  readonly range: Range
  readonly parts: AsyncIterable<CopyPart>
  readonly #checksum: number
  readonly #handed = new Queue<Handed>()
  readonly #passed: Passed[] = []
  #rows = 0
  #added = 0

  constructor(first: StreamChunk, plan: RowPlan, cursor: RowCursor, pool: BlockPool) {
    this.range = first.range
    this.#checksum = first.place.checksum
    const rows = { straight: null, resident: null, chunks: () => this.#take() }
    this.parts = encodeChunk(rows, plan, cursor, pool)
  }

  get counts(): ClaimCounts {
    return {
      rejected: 0,
      loaded: this.#rows,
      added: this.#added,
      checksum: this.#checksum,
      facts: null,
    }
  }

  /** Resolves when the chunk is encoded. */
  push(chunk: StreamChunk): Promise<void> {
    const { selection, records } = chunk.data
    this.#passed.push({ firstRow: this.#rows, place: chunk.place, selection, records })
    this.#rows += chunk.rowCount
    this.#added += chunk.added
    return new Promise((resolve) => this.#handed.push({ chunk, encoded: resolve }))
  }

  end(): void {
    this.#handed.end()
  }

  fail(error: unknown): void {
    this.#handed.fail(toError(error))
  }

  /** Where a row of the range comes from. */
  where(row: number): Where {
    const passed = this.#passed.findLast((one) => one.firstRow <= row)!
    return whereIs(passed.place, passed, row - passed.firstRow)
  }

  async *#take(): AsyncGenerator<Chunk> {
    for await (const { chunk, encoded } of this.#handed) {
      yield chunk.data
      encoded()
    }
  }
}
