import type { Client, QueryResult } from 'pg'
import { type ClaimScope, claimSql } from '../checkpoint/claims.ts'
import { fencedError } from '../checkpoint/job.ts'
import { rollBack } from '../checkpoint/transaction.ts'
import type { Range } from '../chunk/range.ts'
import { asMessage, type BlockPool } from '../copy/block-pool.ts'
import type { CopyPart } from '../copy/encode-chunk.ts'
import { TargetError } from '../core/errors.ts'
import { quoteIdentifier, quoteTable, type TableName } from '../core/identifier.ts'
import { CopyIn } from './copy-in.ts'
import { isConnectionLost, wrapServerError } from './server-error.ts'

/** Where rows go: the table, and the columns in the order of the COPY. Plain, it goes to the lanes' threads. */
export interface CopyTarget {
  readonly table: TableName
  readonly columns: readonly string[]
}

/** An encoded chunk on its way: parts come as they are encoded. */
export interface EncodedChunk {
  readonly range: Range
  readonly checksum: number
  /** Rows in the parts. */
  readonly rows: number
  readonly parts: AsyncIterable<CopyPart>
}

/** A row that the server refused, by its place among the rows of the chunk. */
export class RefusedRow extends Error {
  readonly row: number
  readonly refusal: TargetError
  constructor(row: number, refusal: TargetError) {
    super(refusal.message, { cause: refusal })
    this.row = row
    this.refusal = refusal
  }
}

/**
 * Loads one chunk: BEGIN, fence and claim, COPY, COMMIT. Either all of it is in the database afterwards, or nothing.
 *
 * Shape:  'committed', or 'done' when the range had been committed before.
 * Errors: RefusedRow when the server refuses a row, CHECKPOINT_FENCED, TARGET_CONNECTION_LOST (whether COMMIT took
 *         place is unknown then: ask isClaimed), TARGET_REFUSED. All but the lost connection leave it ready for use.
 */
export async function loadChunk(
  client: Client,
  target: CopyTarget,
  scope: ClaimScope,
  chunk: EncodedChunk,
  pool: BlockPool,
): Promise<'committed' | 'done'> {
  const claim = new ClaimStatement(scope, chunk)
  try {
    const copied = await copyParts(client, target, chunk, pool, claim)
    if (copied !== chunk.rows) {
      const message = `the server took ${String(copied)} rows of a chunk of ${String(chunk.rows)}`
      throw new TargetError('TARGET_REFUSED', message, {
        hint: 'a trigger or rule of the table may drop rows; load into a plain table',
      })
    }
    // Rejected rows of the chunk are to be written here, in the same transaction.
    await client.query('commit')
    return 'committed'
  } catch (thrown) {
    const error = thrown instanceof RefusedRow ? thrown : wrapServerError(thrown)
    if (isConnectionLost(error)) throw error
    await rollBack(client, error)
    if (!claim.isRefused(error)) throw error
    for await (const part of chunk.parts) pool.give(part.block)
    return 'done'
  }
}

/** BEGIN and the claim, which go to the server in one message with the chunk's first COPY. */
class ClaimStatement {
  readonly #sql: string
  #taken = false

  constructor(scope: ClaimScope, { range, rows, checksum }: EncodedChunk) {
    this.#sql = `begin; ${claimSql(scope, range, { loaded: rows, checksum })}`
  }

  /** What is still to be sent before a COPY. */
  get pending(): string {
    return this.#taken ? '' : `${this.#sql}; `
  }

  /** Takes the server's answer. Errors: CHECKPOINT_FENCED when a newer run has taken the job over. */
  take(completed: readonly string[]): void {
    if (this.#taken) return
    if (completed.at(-1)?.endsWith(' 1') !== true) throw fencedError()
    this.#taken = true
  }

  /** Whether an error says that the range was committed before. */
  isRefused(error: Error): boolean {
    const code = error instanceof TargetError ? error.server?.sqlstate : undefined
    return !this.#taken && code === UNIQUE_VIOLATION
  }
}

const UNIQUE_VIOLATION = '23505'

/** Sends the parts, each COPY after the other; returns the number of rows that the server counted. */
async function copyParts(
  client: Client,
  target: CopyTarget,
  chunk: EncodedChunk,
  pool: BlockPool,
  claim: ClaimStatement,
): Promise<number> {
  let copy: CopyIn | null = null
  let firstRow = 0
  let rows = 0
  try {
    for await (const part of chunk.parts) {
      if (copy === null) {
        copy = await CopyIn.begin(client, claim.pending + copySql(target, part.format))
        claim.take(copy.completed)
        firstRow = part.firstRow
      }
      // Not awaited: the kernel takes it while the next block is encoded. The pool bounds how many are under way.
      void copy.write(asMessage(part.block)).then(
        () => pool.give(part.block),
        () => pool.give(part.block), // end() below tells why
      )
      if (copy.failed) break
      if (part.ends) {
        rows += await copy.end()
        copy = null
      }
    }
    if (copy !== null) rows += await copy.end()
    if (claim.pending !== '') claim.take(await commandTags(client, claim.pending)) // a chunk of no rows
    return rows
  } catch (error) {
    if (copy !== null) await copy.fail('the client gave up')
    throw asRefusedRow(error, firstRow) ?? error
  }
}

function asRefusedRow(error: unknown, firstRow: number): RefusedRow | null {
  if (!(error instanceof TargetError) || error.copyLine === undefined) return null
  return new RefusedRow(firstRow + error.copyLine - 1, error)
}

/** Runs several statements in one message; returns the command tags. */
async function commandTags(client: Client, sql: string): Promise<string[]> {
  const results = (await client.query(sql)) as unknown as QueryResult[]
  return results.map(({ command, rowCount }) => `${command} ${String(rowCount)}`)
}

function copySql({ table, columns }: CopyTarget, format: string): string {
  const names = columns.map((name) => quoteIdentifier(name)).join(', ')
  return `copy ${quoteTable(table)} (${names}) from stdin (format ${format})`
}
