import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import type { Client } from 'pg'
import { claimedRows } from '../checkpoint/claims.ts'
import type { Chunk } from '../chunk/chunk.ts'
import { BlockPool } from '../copy/block-pool.ts'
import { type CopyPart, encodeChunk } from '../copy/encode-chunk.ts'
import { RowCursor, RowPlan } from '../copy/rows.ts'
import { TargetError, toError } from '../core/errors.ts'
import { Queue } from '../core/queue.ts'
import type { CsvEngine } from '../source/csv/engine.ts'
import { type EncodedChunk, loadChunk, RefusedRow } from '../target/chunk-transaction.ts'
import { connect } from '../target/connect.ts'
import { refusedRowError } from './bad-row.ts'
import type { FromLane, LaneInput, LoadPlan, RangeBytes } from './lane-protocol.ts'
import { indexRange } from './index-range.ts'

/** Blocks of a lane: 6 MiB that are encoded or under way, enough to keep the server busy over a COMMIT. */
const BLOCKS = 24
/** A lost connection is tried again for this long. */
const RETRY_FOR_MS = 60_000
const LONGEST_PAUSE_MS = 3_200

/** What a lane works with. */
export interface Lane {
  readonly engine: CsvEngine
  readonly input: LaneInput
  readonly plan: LoadPlan
  /** Where its ranges come from. */
  readonly ranges: Queue<RangeBytes>
  /** Tells the main thread; the buffers named move there. */
  readonly report: (message: FromLane, transfer: ArrayBuffer[]) => void
}

/** A chunk on its way from the encoder to the server. */
interface Prepared extends EncodedChunk {
  readonly source: RangeBytes
}

/**
 * Takes ranges through: index, encode, commit, one connection, until the ranges end.
 *
 * Shape:  while the server takes one chunk the next is indexed and encoded. Ranges that were received but not
 *         committed are kept, so that after a lost connection each is looked up and, if need be, sent again.
 * Errors: what is wrong with a row, with its place; TARGET_UNREACHABLE when the server does not come back.
 */
export async function runLane(lane: Lane): Promise<void> {
  const pending: RangeBytes[] = []
  let client = await connect(lane.plan.connection)
  try {
    while (!(await runSession(client, lane, pending))) {
      await disconnect(client)
      client = await reconnect(lane.plan)
      await settle(client, lane, pending)
    }
  } finally {
    await disconnect(client)
  }
}

/** Loads over one connection. Returns whether all is done: false when the connection was lost. */
async function runSession(client: Client, lane: Lane, pending: RangeBytes[]): Promise<boolean> {
  const prepared = new Queue<Prepared>()
  const pool = new BlockPool(BLOCKS)
  const stop = new AbortController()
  const encoding = encodeAhead(lane, pending, pool, prepared, stop.signal)
  try {
    for await (const chunk of prepared) {
      const began = performance.now()
      const outcome = await loadChunk(client, lane.plan.target, lane.plan.scope, chunk, pool)
      const milliseconds = performance.now() - began
      const { range, buffer } = chunk.source
      pending.splice(pending.indexOf(chunk.source), 1)
      const { rows } = chunk
      lane.report({ type: 'loaded', range, rows, outcome, milliseconds, buffer }, [buffer])
    }
    return true
  } catch (error) {
    if (error instanceof RefusedRow)
      throw refusedRowError(error, lane.input, lane.engine, pending[0]!)
    if (!(error instanceof TargetError && error.code === 'TARGET_CONNECTION_LOST')) throw error
    lane.report({ type: 'reconnecting', message: error.message }, [])
    return false
  } finally {
    stop.abort()
    pool.close()
    await encoding
  }
}

/** Indexes and encodes ranges ahead of the sender, as far as the pool's blocks reach. Errors go to the sender. */
async function encodeAhead(
  lane: Lane,
  pending: RangeBytes[],
  pool: BlockPool,
  prepared: Queue<Prepared>,
  stop: AbortSignal,
): Promise<void> {
  const cursor = new RowCursor()
  const rowPlan = new RowPlan(lane.plan.columns)
  const again = [...pending]
  let parts: Queue<CopyPart> | null = null
  try {
    for (;;) {
      const source = again.shift() ?? (await lane.ranges.take(stop))
      if (source === undefined) break
      if (!pending.includes(source)) pending.push(source)
      const chunk = indexRange(lane.engine, lane.input, source)
      parts = new Queue<CopyPart>()
      prepared.push(prepare(source, chunk, parts))
      for await (const part of encodeChunk(chunk, rowPlan, cursor, pool)) parts.push(part)
      parts.end()
      parts = null
    }
    prepared.end()
  } catch (error) {
    parts?.fail(toError(error))
    prepared.fail(toError(error))
  }
}

function prepare(source: RangeBytes, chunk: Chunk, parts: Queue<CopyPart>): Prepared {
  return {
    source,
    range: source.range,
    checksum: crc32(chunk.bytes),
    rows: chunk.rowCount,
    parts,
  }
}

/** After a lost connection only the claims tell whether a chunk was committed. */
async function settle(client: Client, lane: Lane, pending: RangeBytes[]): Promise<void> {
  for (const source of [...pending]) {
    const rows = await claimedRows(client, lane.plan.scope, source.range)
    if (rows === null) continue
    pending.splice(pending.indexOf(source), 1)
    const { range, buffer } = source
    lane.report({ type: 'loaded', range, rows, outcome: 'committed', milliseconds: 0, buffer }, [
      buffer,
    ])
  }
}

/** Connects again, with pauses that grow. */
async function reconnect(plan: LoadPlan): Promise<Client> {
  const deadline = Date.now() + RETRY_FOR_MS
  for (let pause = 50; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await connect(plan.connection)
    } catch (error) {
      const again = error instanceof TargetError && error.retryable
      if (!again || Date.now() + pause > deadline) throw error
    }
    await sleep(pause * (0.5 + Math.random()))
  }
}

async function disconnect(client: Client): Promise<void> {
  // A connection that is lost already has nothing to say about its end.
  await client.end().catch(() => undefined)
}
