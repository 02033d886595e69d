import { type Chunk, countRows } from '../chunk/chunk.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import { ConfigError, MillraceError, StageError, toError } from '../core/errors.ts'
import { thrownBy } from './fail-row.ts'
import type { Firsts, KeyBatch } from './keys/key-batch.ts'
import type { KeyLimits } from './keys/key-sets.ts'
import { Lineage } from './lineage.ts'
import type { Measure } from './quality/finding.ts'
import {
  type AnyStage,
  type BoundStage,
  type RowFailure,
  type StageContext,
  StageReport,
} from './stage.ts'

/** What a stage that does something to rows has done so far. in = out + filtered + failed - added, always. */
export interface StageStats {
  readonly stage: string
  readonly in: number
  readonly out: number
  readonly filtered: number
  /** Rows beyond the first that were made of one. */
  readonly added: number
  readonly failed: number
  /** In all lanes together, with the time in which it has waited for an answer. */
  readonly milliseconds: number
}

/** A row that failed, and where. */
export interface StageFailure extends RowFailure {
  readonly stage: string
  /** The record of the range that the row was made of. */
  readonly record: number
  /** Which row of that record it was; empty where it was the only one. */
  readonly part: readonly number[]
}

/** Asks a set of keys of the stage at a place in the list. */
export type AskKeys = (stage: number, set: number, keys: KeyBatch) => Promise<Firsts>

/** What came of a chunk. */
export interface Staged {
  readonly chunk: Chunk
  /** Null where no stage has made rows anew. */
  readonly lineage: Lineage | null
  readonly stats: readonly StageStats[]
  readonly failures: readonly StageFailure[]
  /** By stage, what it has found out about the rows; null where that is nothing. */
  readonly facts: readonly unknown[]
}

/**
 * Stages one behind the other, bound to the columns of an input.
 *
 * Life: `open` before the first chunk, `close` on every path.
 */
export class StageList {
  /** The columns behind the last stage. */
  readonly columns: readonly ColumnInfo[]
  /** How many columns a chunk has behind the last stage, those that are in no more included. */
  readonly slots: number
  /** By stage, the sets of keys that the run is to remember for it. */
  readonly keySets: readonly (readonly KeyLimits[])[]
  readonly #measures: readonly (Measure | null)[]
  readonly #steps: readonly { readonly name: string; readonly bound: BoundStage }[]

  constructor(stages: readonly AnyStage[], input: readonly ColumnInfo[], slots = input.length) {
    const newSlot = (): number => slots++
    let columns = input
    this.#steps = stages.map((stage) => {
      const bound = bindStage(stage, columns, newSlot)
      columns = bound.columns
      return { name: stage.name, bound }
    })
    this.columns = columns
    this.slots = slots
    this.keySets = stages.map(({ keySets }) => keySets ?? [])
    this.#measures = stages.map(({ measure }) => measure ?? null)
  }

  /** Whether a stage asks which keys are the first of their kind. */
  get asks(): boolean {
    return this.keySets.some((sets) => sets.length > 0)
  }

  /** Whether rows pass as they are: no stage does more than choose and name columns. */
  get passesRows(): boolean {
    return this.#steps.every(({ bound }) => bound.apply === undefined)
  }

  async open(context: StageContext): Promise<void> {
    for (const { bound } of this.#steps) await bound.open?.(context)
  }

  /** The columns behind the last stage, with the types that stages know now that they are open. */
  get openColumns(): readonly ColumnInfo[] {
    const types = new Map(this.#steps.flatMap(({ bound }) => [...(bound.types ?? [])]))
    return this.columns.map((column) => ({
      ...column,
      type: column.type ?? types.get(column.slot) ?? null,
    }))
  }

  /** Closes all stages; the first failure is thrown when all are closed. */
  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.#steps.map(async ({ bound }) => bound.close?.()))
    const errors = closed.flatMap((one) => (one.status === 'rejected' ? [toError(one.reason)] : []))
    if (errors.length > 1) throw new AggregateError(errors, 'more than one stage failed to close')
    if (errors[0] !== undefined) throw errors[0]
  }

  /** Adds what was found out about rows behind others. */
  mergeFacts(facts: readonly unknown[], more: readonly unknown[]): readonly unknown[] {
    if (!this.#measures.some((measure) => measure !== null)) return facts
    return this.#measures.map((measure, i) => mergeOne(measure, facts[i] ?? null, more[i] ?? null))
  }

  /** Takes a chunk through; a list that asks is told whom. */
  async apply(chunk: Chunk, ask?: AskKeys): Promise<Staged> {
    const stats: StageStats[] = []
    const failures: StageFailure[] = []
    const facts: unknown[] = []
    let current = chunk
    let lineage: Lineage | null = null
    for (const [i, { name, bound }] of this.#steps.entries()) {
      if (bound.apply === undefined) {
        facts.push(null)
        continue
      }
      const report = new StageReport(ask && ((set, keys) => ask(i, set, keys)))
      const began = performance.now()
      const before = current
      try {
        const result = bound.apply(before, report)
        current = result instanceof Promise ? await result : result
      } catch (error) {
        throw stageThrew(name, error)
      }
      facts.push(report.facts)
      for (const failure of report.failures) {
        const { row } = failure
        const record = before.records?.[row] ?? row
        failures.push({ ...failure, stage: name, record, part: lineage?.partOf(row) ?? [] })
      }
      lineage = lineageOf(before, current, report, lineage)
      stats.push(statsOf(name, before, current, report, performance.now() - began))
    }
    return { chunk: current, lineage, stats, failures, facts }
  }
}

/** Errors: CONFIG_BAD_STAGE for what a stage of somebody's own throws. */
function bindStage(
  stage: AnyStage,
  columns: readonly ColumnInfo[],
  newSlot: () => number,
): BoundStage {
  try {
    return stage.bind(columns, newSlot)
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown
    const cause = toError(thrown)
    const message = `stage ${stage.name} does not fit its columns: ${cause.message}`
    throw new ConfigError('CONFIG_BAD_STAGE', message, { cause })
  }
}

/** What a stage has thrown that is about no row. The message of a stranger may hold a row's values. */
function stageThrew(stage: string, thrown: unknown): Error {
  if (thrown instanceof MillraceError) return thrown
  const cause = toError(thrown)
  return new StageError('STAGE_THREW', `stage ${stage} ${thrownBy(cause)}`, { cause })
}

function lineageOf(
  before: Chunk,
  { records }: Chunk,
  { madeOf }: StageReport,
  lineage: Lineage | null,
): Lineage | null {
  if (records === before.records || records === null) return lineage
  return madeOf === null ? new Lineage(records, null) : new Lineage(madeOf, lineage)
}

function mergeOne(measure: Measure | null, facts: unknown, more: unknown): unknown {
  return measure === null || facts === null
    ? more
    : more === null
      ? facts
      : measure.merge(facts, more)
}

function statsOf(
  stage: string,
  before: Chunk,
  after: Chunk,
  report: StageReport,
  milliseconds: number,
): StageStats {
  const rowsIn = countRows(before)
  const out = countRows(after)
  const failed = report.failures.length
  const filtered = report.filtered ?? rowsIn - failed - out
  return {
    stage,
    in: rowsIn,
    out,
    filtered,
    added: out - (rowsIn - failed - filtered),
    failed,
    milliseconds,
  }
}

/** What a stage has done in all. */
export function addStats(sum: StageStats | undefined, more: StageStats): StageStats {
  if (sum === undefined) return more
  return {
    stage: more.stage,
    in: sum.in + more.in,
    out: sum.out + more.out,
    filtered: sum.filtered + more.filtered,
    added: sum.added + more.added,
    failed: sum.failed + more.failed,
    milliseconds: sum.milliseconds + more.milliseconds,
  }
}
