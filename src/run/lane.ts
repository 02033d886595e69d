import type { Client } from 'pg'
import { type ClaimCounts, claimedRows } from '../checkpoint/claims.ts'
import { decoderOf } from '../chunk/decode.ts'
import type { Range } from '../chunk/range.ts'
import { BlockPool } from '../copy/block-pool.ts'
import { type CopyPart, encodeChunk } from '../copy/encode-chunk.ts'
import { type InferredColumn, inferTypes } from '../copy/infer-types.ts'
import { RowCursor, RowPlan } from '../copy/rows.ts'
import { BadColumnValue } from '../copy/text-rows.ts'
import { CheckpointError, SourceError, StageError, toError, type Where } from '../core/errors.ts'
import { Queue } from '../core/queue.ts'
import type { CsvEngine } from '../source/csv/engine.ts'
import type { AnyStage, StageContext, TargetQueries } from '../stage/stage.ts'
import { StageList } from '../stage/stage-list.ts'
import { ChunkLoader, type EncodedChunk, type Outcome } from '../target/chunk-transaction.ts'
import { isAboutRow, loadCarefully } from '../target/careful-chunk.ts'
import { RefusedRow } from '../target/copy-parts.ts'
import type { Refusal } from '../target/suspect-rows.ts'
import { findProbe } from '../target/probe.ts'
import { isConnectionLost, wrapServerError } from '../target/server-error.ts'
import { columnsOf } from './field-types.ts'
import { badValueError, placeOfRow, refusedRowError } from './bad-row.ts'
import { readCarefully } from './careful-range.ts'
import type { LaneConnection } from './lane-connection.ts'
import type { FromLane, LaneInput, LoadPlan, RangeBytes } from './lane-protocol.ts'
import type { LaneQuestions } from './lane-questions.ts'
import { indexSound } from './index-range.ts'
import { RangeReader, type RangeReading } from './range-reader.ts'
import { withStages } from './with-stages.ts'

/** Blocks of a lane: 6 MiB that are encoded or under way, enough to keep the server busy over a COMMIT. */
const BLOCKS = 24

/** A range to load, or to recall: to take through the stages for its keys alone, for it is loaded already. */
export interface Task extends RangeBytes {
  readonly type: 'range' | 'recall'
}

/** What a lane works with. */
export interface Lane {
  readonly engine: CsvEngine
  readonly input: LaneInput
  readonly stages: readonly AnyStage[]
  /** What the stages may ask of the server. */
  readonly context: TargetQueries
  /** What the stages ask of the run. */
  readonly questions: LaneQuestions
  /** Where its ranges come from. */
  readonly tasks: Queue<Task>
  /** Tells the main thread; the buffers named move there. */
  readonly report: (message: FromLane, transfer: ArrayBuffer[]) => void
  /** Asks the main thread for a plan that the values of a chunk fit; null when there is none. */
  readonly replan: (epoch: number, columns: readonly InferredColumn[]) => Promise<LoadPlan | null>
}

/** How the time of one connection has ended. */
type SessionEnd =
  | { readonly type: 'done' | 'lost' | 'refused' | 'clean' }
  | { readonly type: 'replan'; readonly plan: LoadPlan }

/** A range that is not committed, or not recalled yet. */
interface PendingRange extends Task {
  /** What is read of it, as soon as somebody does. */
  reading: RangeReading | null
}

/** A chunk on its way from the encoder to the server. */
class Prepared implements EncodedChunk {
  readonly source: PendingRange
  readonly reading: RangeReading
  readonly parts: AsyncIterable<CopyPart>
  /** When its loading began, on the clock of performance.now(). */
  began = 0

  constructor(source: PendingRange, reading: RangeReading, parts: AsyncIterable<CopyPart>) {
    this.source = source
    this.reading = reading
    this.parts = parts
  }

  get range(): Range {
    return this.source.range
  }

  get counts(): ClaimCounts {
    const { count, added, checksum, facts } = this.reading
    return { loaded: count, rejected: 0, added, checksum, facts }
  }
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
  const pending: PendingRange[] = []
  for (let plan: LoadPlan | null = first; plan !== null;) {
    const current: LoadPlan = plan
    const stages = new StageList(lane.stages, columnsOf(current.fields))
    const work = (): Promise<LoadPlan | null> => runPlan(connection, lane, current, stages, pending)
    const context: StageContext = {
      query: (text, values) => lane.context.query(text, values),
      types: current.widening ? 'widening' : 'final',
    }
    plan = await withStages(stages, context, work)
  }
}

/**
 * Loads by one plan, over as many connections as it takes; returns the plan to go on by, null at the end.
 *
 * Shape: ranges go the fast way until a row of one is refused, then the careful way until some were clean.
 */
async function runPlan(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  stages: StageList,
  pending: PendingRange[],
): Promise<LoadPlan | null> {
  let run = runSession
  for (;;) {
    const end = await run(connection, lane, plan, stages, pending)
    if (end.type === 'done') return null
    if (end.type === 'replan') return end.plan
    if (end.type === 'refused') run = runCareful
    else if (end.type === 'clean') run = runSession
    else await settle(connection, lane, plan, pending)
  }
}

/** Loads over one connection, by one plan. */
async function runSession(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  stages: StageList,
  pending: PendingRange[],
): Promise<SessionEnd> {
  const prepared = new Queue<Prepared>()
  const pool = new BlockPool(BLOCKS)
  const stop = new AbortController()
  const encoding = encodeAhead(lane, plan, stages, pending, pool, prepared, stop.signal)
  const ended = ({ source, reading, began }: Prepared, outcome: Outcome): void => {
    const { range, buffer } = source
    const milliseconds = performance.now() - began
    const stagesDone = outcome === 'committed' ? reading.stats : []
    const done = { rejected: 0, outcome, milliseconds, stages: stagesDone }
    pending.splice(pending.indexOf(source), 1)
    lane.report({ type: 'loaded', range, rows: reading.count, ...done, buffer }, [buffer])
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
    if (isConnectionLost(error) && !connection.isGivenUp) {
      lane.report({ type: 'reconnecting', message: toError(error).message }, [])
      return { type: 'lost' }
    }
    const better = plan.widening && isMisfit(error) ? await replan(lane, plan, pending[0]!) : null
    if (better !== null) return { type: 'replan', plan: better }
    if (lane.input.rejects === 'keep' && isAboutRows(error)) return { type: 'refused' }
    const first = pending[0]!
    const placeOf = (row: number): Where =>
      placeOfRow(first.reading?.indexRow(row) ?? row, lane, first)
    if (error instanceof RefusedRow) {
      throw refusedRowError(error.refusal, placeOf(error.row))
    }
    if (error instanceof BadColumnValue) {
      const column = plan.target.columns[error.column]!
      throw badValueError(error, column, placeOf(error.row))
    }
    throw error
  } finally {
    stop.abort()
    pool.close()
    await encoding
  }
}

/** Chunks without a reject after which the fast way is tried again: what it has sent before a refusal stays as dead tuples. */
const CLEAN_CHUNKS = 8

/** Loads over one connection, range by range, and keeps the rows that cannot be loaded. */
async function runCareful(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  stages: StageList,
  pending: PendingRange[],
): Promise<SessionEnd> {
  const pool = new BlockPool(BLOCKS)
  const stop = new AbortController()
  /** Ranges for whose values no plan is wider. */
  const settled = new Set<PendingRange>()
  const { engine, input, questions } = lane
  const reading = {
    ...{ engine, input, stages, pool, columns: plan.target.columns, limits: plan.limits },
    decoders: plan.fields.map(({ type }) => decoderOf(type)),
    plan: new RowPlan(plan.columns),
    copied: plan.columns,
  }
  try {
    const client = await connection.client
    const probe = await findProbe(client, plan.target)
    for (let clean = 0; clean < CLEAN_CHUNKS;) {
      const source = pending[0] ?? (await nextRange(lane, pending, stop.signal))
      if (source === undefined) return { type: 'done' }
      const began = performance.now()
      const asked = stages.asks ? questions.begin(source.range.start, stop.signal) : null
      const chunk = await readCarefully(reading, source, asked)
      const { range, buffer } = source
      if (source.type === 'recall') {
        pending.shift()
        lane.report({ type: 'recalled', range, buffer }, [buffer])
        continue
      }
      await asked?.turn()
      const mayWiden = plan.widening && !settled.has(source)
      const mustWiden = (refusals: readonly Refusal[]): boolean =>
        mayWiden && refusals.some(({ sqlstate }) => MISFITS.has(sqlstate))
      const loading = {
        client,
        target: plan.target,
        scope: plan.scope,
        pool,
        probe,
        giveUp: mustWiden,
      }
      const counts = await loadCarefully(loading, chunk)
      if (counts === 'given up') {
        const better = await replan(lane, plan, source)
        if (better !== null) return { type: 'replan', plan: better }
        settled.add(source)
        continue
      }
      pending.shift()
      const milliseconds = performance.now() - began
      const { loaded: rows, rejected } = counts ?? { loaded: chunk.rows, rejected: 0 }
      const done =
        counts === null
          ? ({ outcome: 'done', stages: [] } as const)
          : ({ outcome: 'committed', stages: chunk.stats } as const)
      lane.report({ type: 'loaded', range, rows, rejected, milliseconds, ...done, buffer }, [
        buffer,
      ])
      clean = rejected === 0 ? clean + 1 : 0
    }
    return { type: 'clean' }
  } catch (error) {
    if (isConnectionLost(error) && !connection.isGivenUp) {
      lane.report({ type: 'reconnecting', message: toError(error).message }, [])
      return { type: 'lost' }
    }
    const better = plan.widening && isMisfit(error) ? await replan(lane, plan, pending[0]!) : null
    if (better !== null) return { type: 'replan', plan: better }
    throw error
  } finally {
    stop.abort()
    pool.close()
  }
}

/** Whether an error is about rows, so that the others of their chunk can be loaded. */
function isAboutRows(error: unknown): boolean {
  if (error instanceof RefusedRow) return isAboutRow(error.refusal)
  if (error instanceof SourceError) return error.code === 'SOURCE_BAD_ROW'
  if (error instanceof StageError) return error.code !== 'STAGE_LIMIT'
  return error instanceof BadColumnValue || isAboutRow(error)
}

/** SQLSTATEs of values that their column's type cannot hold; binary of another type than the column has by now. */
const MISFITS = new Set(['22P02', '22P03', '22003', '22007', '22008', '22021'])

function isMisfit(error: unknown): boolean {
  if (error instanceof CheckpointError) return error.code === 'CHECKPOINT_FENCED'
  // A stage was given text that is no value of the field's type.
  if (error instanceof StageError) return error.code === 'STAGE_CAST'
  return error instanceof RefusedRow && MISFITS.has(error.refusal.server.sqlstate ?? '')
}

function replan(lane: Lane, plan: LoadPlan, source: RangeBytes): Promise<LoadPlan | null> {
  const fields = indexSound(lane.engine, lane.input, source)
  return lane.replan(plan.scope.epoch, inferTypes(fields))
}

/**
 * Indexes and encodes ranges ahead of the sender, as far as the pool's blocks reach. Errors go to the sender.
 *
 * Why: with stages that ask, the sender hears of a chunk with its first part and at its turn, when no earlier range is to be
 *      staged any more. Before that it would keep the transaction of the chunk before open while this one waits for another
 *      lane; and that one may wait for a lock that the transaction holds.
 */
async function encodeAhead(
  lane: Lane,
  plan: LoadPlan,
  stages: StageList,
  pending: PendingRange[],
  pool: BlockPool,
  prepared: Queue<Prepared>,
  stop: AbortSignal,
): Promise<void> {
  const cursor = new RowCursor()
  const rowPlan = new RowPlan(plan.columns)
  const { engine, input, questions } = lane
  const reader = new RangeReader({ engine, input, stages, fields: plan.fields, plan: rowPlan })
  const again = [...pending]
  let parts: Queue<CopyPart> | null = null
  try {
    for (;;) {
      const source = again.shift() ?? (await nextRange(lane, pending, stop))
      if (source === undefined) break
      const asked = stages.asks ? questions.begin(source.range.start, stop) : null
      const reading = reader.read(source, asked)
      source.reading = reading
      if (source.type === 'recall') {
        await recall(lane, source, reading, pending)
        continue
      }
      parts = new Queue<CopyPart>()
      let told = false
      const tell = async (queue: Queue<CopyPart>): Promise<void> => {
        if (!told) await asked?.turn()
        if (!told) prepared.push(new Prepared(source, reading, queue))
        told = true
      }
      if (asked === null) await tell(parts)
      for await (const part of encodeChunk(reading, rowPlan, cursor, pool)) {
        parts.push(part)
        await tell(parts)
      }
      await tell(parts)
      parts.end()
      parts = null
    }
    prepared.end()
  } catch (error) {
    parts?.fail(toError(error))
    prepared.fail(toError(error))
  }
}

/** Takes a range through the stages, and lets its rows go. */
async function recall(
  lane: Lane,
  source: PendingRange,
  reading: RangeReading,
  pending: PendingRange[],
): Promise<void> {
  const { range, buffer } = source
  for await (const chunk of reading.chunks(0, 0)) void chunk
  pending.splice(pending.indexOf(source), 1)
  lane.report({ type: 'recalled', range, buffer }, [buffer])
}

async function nextRange(
  lane: Lane,
  pending: PendingRange[],
  stop: AbortSignal,
): Promise<PendingRange | undefined> {
  const taken = await lane.tasks.take(stop)
  if (taken === undefined) return undefined
  const source = { ...taken, reading: null }
  pending.push(source)
  return source
}

/** After a lost connection only the claims tell whether a chunk was committed; they are asked until they have answered. */
async function settle(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  pending: PendingRange[],
): Promise<void> {
  for (;;) {
    const client = await connection.reopen()
    try {
      return await lookUp(client, lane, plan, pending)
    } catch (thrown) {
      const error = wrapServerError(thrown)
      if (!isConnectionLost(error) || connection.isGivenUp) throw error
      lane.report({ type: 'reconnecting', message: error.message }, [])
    }
  }
}

async function lookUp(
  client: Client,
  lane: Lane,
  plan: LoadPlan,
  pending: PendingRange[],
): Promise<void> {
  for (const source of pending.filter(({ type }) => type === 'range')) {
    const claimed = await claimedRows(client, plan.scope, source.range)
    if (claimed === null) continue
    pending.splice(pending.indexOf(source), 1)
    const { range, buffer } = source
    const { loaded: rows, rejected } = claimed
    const done = { rows, rejected, outcome: 'committed', milliseconds: 0, stages: [] } as const
    lane.report({ type: 'loaded', range, ...done, buffer }, [buffer])
  }
}
