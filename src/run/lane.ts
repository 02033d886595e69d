import type { Client } from 'pg'
import { claimedRows } from '../checkpoint/claims.ts'
import { BlockPool } from '../copy/block-pool.ts'
import { type CopyPart, encodeChunk } from '../copy/encode-chunk.ts'
import { type InferredColumn, inferTypes } from '../copy/infer-types.ts'
import { RowCursor, RowPlan } from '../copy/rows.ts'
import { CheckpointError, toError } from '../core/errors.ts'
import { Queue } from '../core/queue.ts'
import type { CsvEngine } from '../source/csv/engine.ts'
import {
  ChunkLoader,
  type EncodedChunk,
  type Outcome,
  RefusedRow,
} from '../target/chunk-transaction.ts'
import { isConnectionLost } from '../target/server-error.ts'
import { refusedRowError } from './bad-row.ts'
import type { LaneConnection } from './lane-connection.ts'
import type { FromLane, LaneInput, LoadPlan, RangeBytes } from './lane-protocol.ts'
import { indexRange } from './index-range.ts'
import { rowsOfRange, straightEncoder } from './range-rows.ts'

/** Blocks of a lane: 6 MiB that are encoded or under way, enough to keep the server busy over a COMMIT. */
const BLOCKS = 24

/** What a lane works with. */
export interface Lane {
  readonly engine: CsvEngine
  readonly input: LaneInput
  /** Where its ranges come from. */
  readonly ranges: Queue<RangeBytes>
  /** Tells the main thread; the buffers named move there. */
  readonly report: (message: FromLane, transfer: ArrayBuffer[]) => void
  /** Asks the main thread for a plan that the values of a chunk fit; null when there is none. */
  readonly replan: (epoch: number, columns: readonly InferredColumn[]) => Promise<LoadPlan | null>
}

/** How the time of one connection has ended. */
type SessionEnd =
  { readonly type: 'done' | 'lost' } | { readonly type: 'replan'; readonly plan: LoadPlan }

/** A chunk on its way from the encoder to the server. */
interface Prepared extends EncodedChunk {
  readonly source: RangeBytes
  /** When its loading began, on the clock of performance.now(). */
  began: number
}

/**
 * Takes ranges through: index, encode, commit, one connection, until the ranges end.
 *
 * Shape:  while the server takes one chunk the next is indexed and encoded. Ranges that were received but not
 *         committed are kept, so that after a lost connection each is looked up and, if need be, sent again.
 * Errors: what is wrong with a row, with its place; TARGET_UNREACHABLE when the server does not come back.
 */
export async function runLane(
  lane: Lane,
  connection: LaneConnection,
  first: LoadPlan,
): Promise<void> {
  const pending: RangeBytes[] = []
  let plan = first
  for (;;) {
    const end = await runSession(connection, lane, plan, pending)
    if (end.type === 'done') return
    if (end.type === 'replan') plan = end.plan
    else await settle(await connection.reopen(), lane, plan, pending)
  }
}

/** Loads over one connection, by one plan. */
async function runSession(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  pending: RangeBytes[],
): Promise<SessionEnd> {
  const prepared = new Queue<Prepared>()
  const pool = new BlockPool(BLOCKS)
  const stop = new AbortController()
  const encoding = encodeAhead(lane, plan, pending, pool, prepared, stop.signal)
  const ended = ({ source, rows, began }: Prepared, outcome: Outcome): void => {
    const { range, buffer } = source
    const milliseconds = performance.now() - began
    pending.splice(pending.indexOf(source), 1)
    lane.report({ type: 'loaded', range, rows, outcome, milliseconds, buffer }, [buffer])
  }
  try {
    const client = await connection.client
    const loader = new ChunkLoader<Prepared>(client, plan.target, plan.scope, pool, ended)
    for await (const chunk of prepared) {
      chunk.began = performance.now()
      await loader.load(chunk)
      if (prepared.isEmpty) await loader.commit()
    }
    return { type: 'done' }
  } catch (error) {
    if (isConnectionLost(error)) {
      lane.report({ type: 'reconnecting', message: toError(error).message }, [])
      return { type: 'lost' }
    }
    const better = plan.widening && isMisfit(error) ? await replan(lane, plan, pending[0]!) : null
    if (better !== null) return { type: 'replan', plan: better }
    if (error instanceof RefusedRow) {
      throw refusedRowError(error, lane.input, lane.engine, pending[0]!)
    }
    throw error
  } finally {
    stop.abort()
    pool.close()
    await encoding
  }
}

/** SQLSTATEs of values that their column's type cannot hold; binary of another type than the column has by now. */
const MISFITS = new Set(['22P02', '22P03', '22003', '22007', '22008', '22021'])

function isMisfit(error: unknown): boolean {
  if (error instanceof CheckpointError) return error.code === 'CHECKPOINT_FENCED'
  return error instanceof RefusedRow && MISFITS.has(error.refusal.server.sqlstate ?? '')
}

function replan(lane: Lane, plan: LoadPlan, source: RangeBytes): Promise<LoadPlan | null> {
  const chunk = indexRange(lane.engine, lane.input, source)
  return lane.replan(plan.scope.epoch, inferTypes(chunk))
}

/** Indexes and encodes ranges ahead of the sender, as far as the pool's blocks reach. Errors go to the sender. */
async function encodeAhead(
  lane: Lane,
  plan: LoadPlan,
  pending: RangeBytes[],
  pool: BlockPool,
  prepared: Queue<Prepared>,
  stop: AbortSignal,
): Promise<void> {
  const cursor = new RowCursor()
  const rowPlan = new RowPlan(plan.columns)
  const encoder = straightEncoder(lane.engine, lane.input, rowPlan)
  const again = [...pending]
  let parts: Queue<CopyPart> | null = null
  try {
    for (;;) {
      const source = again.shift() ?? (await lane.ranges.take(stop))
      if (source === undefined) break
      if (!pending.includes(source)) pending.push(source)
      const { rows, count, checksum } = rowsOfRange(lane.engine, lane.input, source, encoder)
      parts = new Queue<CopyPart>()
      prepared.push({ source, range: source.range, checksum, rows: count, parts, began: 0 })
      for await (const part of encodeChunk(rows, rowPlan, cursor, pool)) parts.push(part)
      parts.end()
      parts = null
    }
    prepared.end()
  } catch (error) {
    parts?.fail(toError(error))
    prepared.fail(toError(error))
  }
}

/** After a lost connection only the claims tell whether a chunk was committed. */
async function settle(
  client: Client,
  lane: Lane,
  plan: LoadPlan,
  pending: RangeBytes[],
): Promise<void> {
  for (const source of [...pending]) {
    const rows = await claimedRows(client, plan.scope, source.range)
    if (rows === null) continue
    pending.splice(pending.indexOf(source), 1)
    const { range, buffer } = source
    lane.report({ type: 'loaded', range, rows, outcome: 'committed', milliseconds: 0, buffer }, [
      buffer,
    ])
  }
}
