import type { Client } from 'pg'
import { type ClaimCounts, type ClaimScope, claimSql, recountSql } from '../checkpoint/claims.ts'
import { fencedError } from '../checkpoint/job.ts'
import { rollBack } from '../checkpoint/transaction.ts'
import type { Range } from '../chunk/range.ts'
import type { BlockPool } from '../copy/block-pool.ts'
import type { CopyFormat, CopyPart } from '../copy/encode-chunk.ts'
import { TargetError } from '../core/errors.ts'
import { CopyIn } from './copy-in.ts'
import { copyParts, copySql, type CopyTarget, RefusedRow, rowsDropped } from './copy-parts.ts'
import { isConnectionLost, wrapServerError } from './server-error.ts'

/** An encoded chunk on its way: parts come as they are encoded. */
export interface EncodedChunk {
  readonly range: Range
  /** Rows in the parts: what is expected of them, and what they are once all parts are there. */
  readonly counts: ClaimCounts
  readonly parts: AsyncIterable<CopyPart>
}

/** How a chunk has ended: committed now, or found to have been committed before. */
export type Outcome = 'committed' | 'done'

/**
 * Loads chunks over one connection, each in a transaction of its own: BEGIN, fence and claim, COPY, COMMIT. Either all
 * of a chunk is in the database afterwards, or nothing.
 *
 * Shape: `load` brings a chunk's rows in, `commit` keeps them; a chunk that follows does it too, so `commit` is for when
 *        none is waiting. `onEnd` hears of each chunk that is known to be in the database.
 * Why:   COMMIT, BEGIN, claim and COPY in one message are two round trips a chunk instead of five; in those the server
 *        waits, 2 to 3 ms of a chunk's 150.
 */
export class ChunkLoader<Chunk extends EncodedChunk> {
  readonly #client: Client
  readonly #target: CopyTarget
  readonly #scope: ClaimScope
  readonly #pool: BlockPool
  readonly #onEnd: (chunk: Chunk, outcome: Outcome) => void
  /** Its rows are in, its COMMIT is not sent yet. */
  #filled: Chunk | null = null
  /** What commits it. */
  #commit = 'commit'

  constructor(
    client: Client,
    target: CopyTarget,
    scope: ClaimScope,
    pool: BlockPool,
    onEnd: (chunk: Chunk, outcome: Outcome) => void,
  ) {
    this.#client = client
    this.#target = target
    this.#scope = scope
    this.#pool = pool
    this.#onEnd = onEnd
  }

  /**
   * Commits the chunk before, and brings the rows of this one in.
   *
   * Errors: RefusedRow when the server refuses a row, CHECKPOINT_FENCED, TARGET_CONNECTION_LOST (whether a COMMIT took
   *         place is unknown then: ask claimedRows), TARGET_REFUSED. The error is about the first chunk that `onEnd` has
   *         not heard of. All but the lost connection leave it ready for use, with no chunk open.
   */
  async load(chunk: Chunk): Promise<void> {
    const claim = new ClaimStatement(this.#scope, chunk)
    try {
      const copied = await this.#copyParts(chunk, claim)
      const { loaded } = chunk.counts
      if (copied !== loaded) throw rowsDropped(copied, loaded)
      this.#filled = chunk
      this.#commit = claim.commitSql(chunk.counts)
    } catch (thrown) {
      const error = thrown instanceof RefusedRow ? thrown : wrapServerError(thrown)
      if (isConnectionLost(error)) throw error
      if (this.#filled !== null) {
        // Nothing of this chunk was sent: the one before it is still to be kept.
        await this.#commitAfter(error)
        throw error
      }
      await rollBack(this.#client, error)
      if (!claim.isRefused(error)) throw error
      for await (const part of chunk.parts) this.#pool.give(part.block)
      this.#onEnd(chunk, 'done')
    }
  }

  /** Commits the chunk whose rows are in, if there is one. Errors: as those of load(). */
  async commit(): Promise<void> {
    const filled = this.#filled
    if (filled === null) return
    this.#filled = null
    try {
      await this.#client.query(this.#commit)
    } catch (error) {
      throw wrapServerError(error)
    }
    this.#onEnd(filled, 'committed')
  }

  async #commitAfter(error: Error): Promise<void> {
    try {
      await this.commit()
    } catch (failure) {
      if (isConnectionLost(failure)) throw failure
      throw new AggregateError([error, failure], 'a chunk failed, and so did the COMMIT before it')
    }
  }

  /** Sends the parts; returns the number of rows that the server counted. */
  async #copyParts(chunk: Chunk, claim: ClaimStatement): Promise<number> {
    const begin = (format: CopyFormat): Promise<CopyIn> => this.#beginCopy(format, claim)
    const rows = await copyParts(chunk.parts, this.#pool, begin)
    if (!claim.taken) await this.#claimNothing(claim)
    return rows
  }

  /** Begins a COPY, behind what is still to be said before it. */
  async #beginCopy(format: CopyFormat, claim: ClaimStatement): Promise<CopyIn> {
    const filled = this.#filled
    const before = claim.taken
      ? []
      : [...(filled === null ? [] : [this.#commit]), 'begin', claim.sql]
    const copy = new CopyIn([...before, copySql(this.#target, format)].join('; '))
    this.#filled = null
    try {
      await copy.begin(this.#client)
    } catch (error) {
      // The newer run that this one is shut out by may also have published, and dropped the staging table.
      throw claim.isFenced(copy.completed) ? fencedError() : error
    } finally {
      const committed = copy.completed.includes('COMMIT')
      if (filled !== null && committed) this.#onEnd(filled, 'committed')
      claim.reached = filled === null || committed
    }
    if (claim.taken || claim.take(copy.completed.at(-1))) return copy
    await copy.fail('the job was taken over')
    throw fencedError()
  }

  /** Claims a range that holds no rows. */
  async #claimNothing(claim: ClaimStatement): Promise<void> {
    await this.commit()
    await this.#client.query('begin')
    claim.reached = true
    const { command, rowCount } = await this.#client.query(claim.sql)
    if (!claim.take(`${command} ${String(rowCount)}`)) throw fencedError()
  }
}

/** The claim of a chunk: sent once, before its first COPY. */
class ClaimStatement {
  readonly sql: string
  readonly #scope: ClaimScope
  readonly #range: Range
  readonly #counts: ClaimCounts
  /** Whether it has come to it: a COMMIT before it in the same message can fail. */
  reached = false
  #taken = false

  constructor(scope: ClaimScope, { range, counts }: EncodedChunk) {
    this.#scope = scope
    this.#range = range
    this.#counts = counts
    this.sql = claimSql(scope, range, counts)
  }

  /** What commits the chunk, given the counts it has come to. */
  commitSql(counts: ClaimCounts): string {
    const { loaded, added, facts } = this.#counts
    const same = loaded === counts.loaded && added === counts.added && facts === counts.facts
    return same ? 'commit' : `${recountSql(this.#scope, this.#range, counts)}; commit`
  }

  get taken(): boolean {
    return this.#taken
  }

  /** Takes its command tag; false when a newer run has taken the job over. */
  take(tag: string | undefined): boolean {
    this.#taken = tag?.endsWith(' 1') === true
    return this.#taken
  }

  /** Whether the command tags that came back say that a newer run has taken the job over. */
  isFenced(tags: readonly string[]): boolean {
    return !this.#taken && tags.at(-1) === 'INSERT 0 0'
  }

  /** Whether an error says that the range was committed before. */
  isRefused(error: Error): boolean {
    const code = error instanceof TargetError ? error.server?.sqlstate : undefined
    return this.reached && !this.#taken && code === UNIQUE_VIOLATION
  }
}

const UNIQUE_VIOLATION = '23505'
