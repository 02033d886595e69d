import type { Client } from 'pg'
import type { ClaimCounts } from '../checkpoint/claims.ts'
import type { Reject } from '../checkpoint/rejects.ts'
import { rollBack } from '../checkpoint/transaction.ts'
import type { Range } from '../chunk/range.ts'
import type { BlockPool } from '../copy/block-pool.ts'
import type { CopyFormat, CopyPart } from '../copy/encode-chunk.ts'
import { rowNumbers } from '../copy/row-list.ts'
import { TargetError } from '../core/errors.ts'
import { type CheckFilter, dropLeaveOut, LeftOutRows, makeLeaveOut } from './check-filter.ts'
import { CopyIn } from './copy-in.ts'
import { copyParts, copySql, type CopyTarget, RefusedRow, rowsDropped } from './copy-parts.ts'
import { askProbe, type Probe } from './probe.ts'
import type { RowRules } from './row-rules.ts'
import { isConnectionLost, isFault, wrapServerError } from './server-error.ts'
import { asAtTarget } from './staged-names.ts'
import { insertSuspects, isRowState, type Refusal } from './suspect-rows.ts'

/** A chunk some of whose rows may be refused. Its rows are known by their numbers, from 0. */
export interface CarefulChunk {
  readonly range: Range
  readonly counts: Omit<ClaimCounts, 'loaded' | 'rejected'>
  readonly rows: number
  /** Rows that are better not sent with the others, in ascending order. */
  readonly suspects: readonly number[]
  /** What was rejected before it came to the server. */
  readonly rejects: readonly Reject[]
  /**
   * All rows but some, given in ascending order, for one COPY; `left` is given those that only the server can read, as they
   * are found.
   */
  encode(except: readonly number[], left: number[]): AsyncIterable<CopyPart>
  /** Some columns of them, by their places in the COPY. */
  encodeColumns(
    except: readonly number[],
    columns: readonly number[],
    left: number[],
  ): AsyncIterable<CopyPart>
  /** All columns of some rows, in ascending order, as text. */
  encodeText(rows: readonly number[]): AsyncIterable<CopyPart>
  /** Refused rows as rejects. */
  rejectsOf(refusals: readonly Refusal[]): Reject[]
}

/** What a chunk is loaded under: what its transaction does before the rows, and behind them. */
export interface CarefulClaim {
  /** Claims the chunk; false when it was committed before. Errors: CHECKPOINT_FENCED. */
  take(client: Client, chunk: CarefulChunk): Promise<boolean>
  /** Keeps what is known of the chunk now that its other rows are in. */
  keep(
    client: Client,
    chunk: CarefulChunk,
    rejects: readonly Reject[],
    loaded: number,
  ): Promise<void>
}

/** What came of it; null when it was committed before, 'given up' when it is rolled back. */
export type CarefulOutcome = Pick<ClaimCounts, 'loaded' | 'rejected'> | 'given up' | null

/** What chunks are loaded with. */
export interface CarefulLoading {
  readonly client: Client
  readonly target: CopyTarget
  readonly claim: CarefulClaim
  readonly pool: BlockPool
  readonly rules: RowRules
  /** Whether the chunk is not to be loaded, given what was refused of it. */
  readonly giveUp: (refusals: readonly Refusal[]) => boolean
}

/** Rows that the server may find among those that were not suspected; then all of the chunk are. */
const MOST_SURPRISES = 3

/**
 * Loads a chunk in one transaction: the rows that the server takes, the others as rejects with its reasons, and the claim.
 *
 * Errors: CHECKPOINT_FENCED, and what is about no row: TARGET_*. The transaction is rolled back.
 */
export async function loadCarefully(
  loading: CarefulLoading,
  chunk: CarefulChunk,
): Promise<CarefulOutcome> {
  const { client, claim } = loading
  try {
    await client.query('begin')
    if (!(await claim.take(client, chunk))) {
      await client.query('rollback')
      return null
    }
    const refusals = await loadRows(loading, chunk)
    if (loading.giveUp(refusals)) {
      await client.query('rollback')
      return 'given up'
    }
    const rejects = [...chunk.rejects, ...chunk.rejectsOf(refusals)]
    const loaded = chunk.rows - refusals.length
    await claim.keep(client, chunk, rejects, loaded)
    await client.query('commit')
    return { loaded, rejected: rejects.length }
  } catch (thrown) {
    const error = wrapServerError(thrown)
    if (!isConnectionLost(error)) await rollBack(client, error)
    throw error
  }
}

/** Brings the rows in that the server takes; returns what it says of the others, by the numbers of the chunk. */
async function loadRows(loading: CarefulLoading, chunk: CarefulChunk): Promise<Refusal[]> {
  const { client, target, pool, rules } = loading
  let suspects = chunk.suspects
  const { checks } = rules
  const filter = checks !== null && (await makeLeaveOut(client)) ? checks : null
  await client.query('set constraints all immediate; savepoint chunk')
  if (rules.keys !== null && suspects.length < chunk.rows) {
    suspects = merged(suspects, await tryProbe(client, pool, chunk, suspects, rules.keys))
  }
  for (let surprises = 0; suspects.length < chunk.rows; surprises++) {
    const left: number[] = []
    const surprise = await tryCopy(loading, filter, chunk, suspects, left)
    suspects = merged(suspects, left)
    if (surprise === null) break
    await client.query('rollback to savepoint chunk')
    const everybody = surprise.row === null || surprises === MOST_SURPRISES
    suspects = everybody ? allRows(chunk) : merged(suspects, [surprise.row])
  }
  if (filter !== null) await dropLeaveOut(client)
  if (suspects.length === 0) return []
  const refusals = await insertSuspects(client, target, chunk.encodeText(suspects), pool)
  return refusals.map((refusal) => ({
    ...asAtTarget(refusal, target),
    row: suspects[refusal.row]!,
  }))
}

/** Rows that the probe finds; none where the server refuses to be asked, for want of a right most often. */
async function tryProbe(
  client: Client,
  pool: BlockPool,
  chunk: CarefulChunk,
  except: readonly number[],
  probe: Probe,
): Promise<readonly number[]> {
  try {
    const left: number[] = []
    const parts = chunk.encodeColumns(except, probe.columns, left)
    const found = await askProbe(client, probe, parts, pool)
    return merged(found.map(rowNumbers(merged(except, left))), left)
  } catch (thrown) {
    const error = wrapServerError(thrown)
    if (isFault(error)) throw error
    await client.query('rollback to savepoint chunk')
    return []
  }
}

/**
 * Sends all rows but some in one COPY; null when the server takes them, else the one it has named, if it has. `left` is
 * given those that are still to be sent by themselves.
 */
async function tryCopy(
  { client, target, pool }: CarefulLoading,
  filter: CheckFilter | null,
  chunk: CarefulChunk,
  except: readonly number[],
  left: number[],
): Promise<{ readonly row: number | null } | null> {
  const begin = async (format: CopyFormat): Promise<CopyIn> => {
    const copy = new CopyIn(copySql(target, format, filter?.where))
    await copy.begin(client)
    return copy
  }
  const leftOut = new LeftOutRows(client)
  try {
    const copied = await copyParts(chunk.encode(except, left), pool, begin)
    const numberOf = rowNumbers(merged(except, left))
    const sent = chunk.rows - except.length - left.length - leftOut.places.length
    if (copied !== sent) throw rowsDropped(copied, sent)
    for (const place of leftOut.places) {
      if (place === undefined) return { row: null }
      left.push(numberOf(place))
    }
    return null
  } catch (thrown) {
    if (thrown instanceof RefusedRow) {
      if (!isAboutRow(thrown.refusal)) throw thrown.refusal
      const row = rowNumbers(merged(except, left))(thrown.row)
      return { row: row < chunk.rows ? row : null }
    }
    const error = wrapServerError(thrown)
    if (!isAboutRow(error)) throw error
    return { row: null } // a foreign key is checked when all rows are there
  } finally {
    leftOut.close()
  }
}

/** Whether an error of the server's is about a row, not about the whole of its work. */
export function isAboutRow(error: unknown): boolean {
  return error instanceof TargetError && isRowState(error.server.sqlstate ?? '')
}

function allRows({ rows }: CarefulChunk): number[] {
  return Array.from({ length: rows }, (_, row) => row)
}

/** Ascending, each once. */
function merged(a: readonly number[], b: readonly number[]): readonly number[] {
  return b.length === 0 ? a : [...new Set([...a, ...b])].sort((x, y) => x - y)
}
