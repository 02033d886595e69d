import { type InferredColumn, inferTypes } from '../../copy/infer-types.ts'
import { CheckpointError, StageError } from '../../core/errors.ts'
import type { Queue } from '../../core/queue.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import type { AnyStage, TargetQueries } from '../../stage/stage.ts'
import type { StageList } from '../../stage/stage-list.ts'
import { RefusedRow } from '../../target/copy-parts.ts'
import { isFault, wrapServerError } from '../../target/server-error.ts'
import type { LaneConnection } from './lane-connection.ts'
import type { FromLane, LaneInput, LoadPlan, RangeBytes } from './lane-protocol.ts'
import type { LaneQuestions } from './lane-questions.ts'
import { indexSound } from './index-range.ts'
import type { RangeReading } from './range-reader.ts'

/** Blocks of a lane: 6 MiB that are encoded or under way, enough to keep the server busy over a COMMIT. */
export const BLOCKS = 24

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

/** What a session works with: ranges by one plan, over one connection. */
export interface Session {
  readonly connection: LaneConnection
  readonly lane: Lane
  readonly plan: LoadPlan
  readonly stages: StageList
  /** Ranges that were received and are not committed, the first first. */
  readonly pending: PendingRange[]
}

/** How the time of one connection has ended. */
export type SessionEnd =
  | { readonly type: 'done' | 'refused' | 'clean' }
  | { readonly type: 'fault'; readonly error: Error }
  | { readonly type: 'replan'; readonly plan: LoadPlan }

/** A range that is not committed, or not recalled yet. */
export interface PendingRange extends Task {
  /** What is read of it, as soon as somebody does. */
  reading: RangeReading | null
}

/** The next range, which is pending from then on; undefined at their end. */
export async function nextRange(
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

/**
 * What an error means for a session of either kind: a fault that may pass, or values that a wider plan may fit; null when it
 * means none of these.
 */
export async function endOf(
  { connection, lane, plan, pending }: Session,
  thrown: unknown,
): Promise<SessionEnd | null> {
  const error = wrapServerError(thrown)
  if (isFault(error) && !connection.isGivenUp) return { type: 'fault', error }
  const better = plan.widening && isMisfit(error) ? await replan(lane, plan, pending[0]!) : null
  return better === null ? null : { type: 'replan', plan: better }
}

/** SQLSTATEs of values that their column's type cannot hold; binary of another type than the column has by now. */
export const MISFITS = new Set(['22P02', '22P03', '22003', '22007', '22008', '22021'])

function isMisfit(error: unknown): boolean {
  if (error instanceof CheckpointError) return error.code === 'CHECKPOINT_FENCED'
  // A stage was given text that is no value of the field's type.
  if (error instanceof StageError) return error.code === 'STAGE_CAST'
  return error instanceof RefusedRow && MISFITS.has(error.refusal.server.sqlstate ?? '')
}

export function replan(lane: Lane, plan: LoadPlan, source: RangeBytes): Promise<LoadPlan | null> {
  const fields = indexSound(lane.engine, lane.input, source)
  return lane.replan(plan.scope.epoch, inferTypes(fields))
}
