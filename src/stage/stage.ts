import type { Chunk } from '../chunk/chunk.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import type { Row } from '../chunk/value.ts'
import type { StageCode } from '../core/errors.ts'
import type { Firsts, KeyBatch } from './keys/key-batch.ts'
import type { KeyLimits } from './keys/key-sets.ts'
import type { Measure } from './quality/finding.ts'

/**
 * A step that rows take on their way: from chunk to chunk.
 *
 * Shape: `bind` is called once for each lane, and again when the types of the columns are found out; it is pure.
 * Errors: CONFIG_UNKNOWN_COLUMN from `bind` for a column that is not there.
 */
export interface Stage<In extends object = Row, Out extends object = In> {
  readonly name: string
  /** What decides its result beside the rows, as JSON: a job is gone on with under the same only. */
  readonly identity: unknown
  /** How a lane's thread makes the same stage again; null when that takes a function of the caller's. */
  readonly wire: WireStage | null
  /** A hash of what it reads beside the rows and decides its result too, such as a file: asked when a run begins. */
  fingerprint?(): Promise<string>
  /** The sets of keys that the run is to remember for it, over all lanes; `StageReport.firsts` asks them. */
  readonly keySets?: readonly KeyLimits[]
  /** What it finds out about the rows of a job, told by `StageReport.facts`. */
  readonly measure?: Measure
  bind(columns: readonly ColumnInfo[], newSlot: () => number): BoundStage
  /** For the compiler alone: the rows it takes and gives. */
  readonly rows?: (row: In) => Out
}

/** A stage for rows of whatever columns. */
export type AnyStage = Stage<never, object>

/** A stage that needs nothing but plain data. */
export interface WireStage {
  readonly stage: string
  readonly options: unknown
}

/** A stage that knows its columns. */
export interface BoundStage {
  /** The columns behind it. */
  readonly columns: readonly ColumnInfo[]
  /** Left out by a stage that only chooses and names columns. */
  apply?(chunk: Chunk, report: StageReport): Chunk | Promise<Chunk>
  /** Called once, before the first chunk. */
  open?(context: StageContext): Promise<void>
  /** Types of its columns that it knows only once it is open, as one writes them; by slot. */
  readonly types?: ReadonlyMap<number, string>
  /** Called once after `open`, on every path. */
  close?(): Promise<void>
}

/** What a stage may ask of the target database. */
export interface TargetQueries {
  /**
   * Asks the target database, and only reads: over a connection that is not the one rows are sent over, opened when it is
   * first asked for. A query whose connection is lost is asked again over a new one.
   *
   * Shape:  the rows, every value as PostgreSQL's text.
   * Errors: TARGET_UNREACHABLE, TARGET_REFUSED with the server's message.
   */
  query(text: string, values?: readonly QueryValue[]): Promise<readonly TextRow[]>
}

/** What a stage may ask of the run it works for. */
export interface StageContext extends TargetQueries {
  /** Whether the types of the input's fields are for good; where a stream's table is made, later values widen them. */
  readonly types: 'final' | 'widening'
}

/** A parameter of a query, as text; an array of texts for an array. */
export type QueryValue = string | null | readonly (string | null)[]

/** A row of a query, every value as PostgreSQL's text. */
export type TextRow = readonly (string | null)[]

/** A row that a stage could not take. */
export interface RowFailure {
  /** In the chunk that the stage was given. */
  readonly row: number
  readonly code: StageCode
  /** Without the row's values. */
  readonly reason: string
  /** The columns it is about. */
  readonly columns: readonly string[]
  readonly cause?: unknown
}

/** Asks one of a stage's sets of keys, by its place in `keySets`. */
export type AskFirsts = (set: number, keys: KeyBatch) => Promise<Firsts>

/** What a stage has to say about a chunk, beside its result, and what it asks about its rows. */
export class StageReport {
  readonly failures: RowFailure[] = []
  readonly #failed = new Set<number>()
  readonly #ask: AskFirsts
  /** Rows it has left out; told by a stage that makes more than one row of one, worked out for the others. */
  filtered: number | null = null
  /**
   * For each row of its result, the row that it was made of: told by a stage that makes rows anew, so that one that is
   * refused behind it is known again in a replay. Where it is not told, rows are counted by record.
   */
  madeOf: Int32Array | null = null
  /** What the stage has found out about the rows of the chunk, for its `measure`; as JSON. */
  facts: unknown = null

  constructor(ask: AskFirsts = nobodyAnswers) {
    this.#ask = ask
  }

  /**
   * Says which keys are the first of their kind in one of the stage's sets: in the order of the input, over all lanes, and
   * over all runs of the job. It is waited for until all ranges before this one have been through the stages.
   *
   * Shape: each chunk asks in the order of its rows; the buffers of `keys` are given away.
   */
  firsts(set: number, keys: KeyBatch): Promise<Firsts> {
    return this.#ask(set, keys)
  }

  /** Gives a row up, for the first reason told. The stage leaves it out of its result. */
  fail(failure: RowFailure): void {
    if (this.#failed.has(failure.row)) return
    this.#failed.add(failure.row)
    this.failures.push(failure)
  }
}

function nobodyAnswers(): Promise<never> {
  return Promise.reject(new Error('a stage without sets of keys asks for some'))
}

/** A function as part of a stage's identity. */
export function sourceOf(fn: (...args: never[]) => unknown): string {
  return fn.toString()
}
