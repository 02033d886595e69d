import type { ClaimScope } from '../../checkpoint/claims.ts'
import type { Range } from '../../chunk/range.ts'
import type { ColumnLimits } from '../../copy/column-limits.ts'
import type { InferredColumn } from '../../copy/infer-types.ts'
import type { CopyColumn } from '../../copy/rows.ts'
import type { ErrorCode, Where } from '../../core/errors.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import type { Firsts, KeyBatch } from '../../stage/keys/key-batch.ts'
import type { StageStats } from '../../stage/stage-list.ts'
import type { ConnectionTarget } from '../../target/connect.ts'
import type { CopyTarget } from '../../target/copy-parts.ts'
import type { StageSpec } from '../stages/stage-source.ts'

/** What rows are found with in an input. */
export interface InputShape {
  readonly source: string
  readonly dialect: CsvDialect
  readonly fieldCount: number
}

/** What a lane needs to know of the input. */
export interface LaneInput extends InputShape {
  /** What is done with a row that cannot be loaded: kept with its reason, or the end of the load. */
  readonly rejects: 'keep' | 'stop'
}

/** What a lane needs to load: where to, and under which claim. */
export interface LoadPlan {
  readonly target: CopyTarget
  /** What the stages are given. */
  readonly fields: readonly FieldInfo[]
  readonly columns: readonly CopyColumn[]
  /** What the target's columns do not take, in the order of the COPY. */
  readonly limits: readonly ColumnLimits[]
  readonly scope: ClaimScope
  /** Whether a value that does not fit its column's type widens the column. */
  readonly widening: boolean
}

/** Bytes of a range; the buffer is moved to the lane and comes back with its answer. */
export interface RangeBytes {
  readonly range: Range
  readonly buffer: ArrayBuffer
  readonly length: number
}

/** A field of the input, by what stages call it. */
export interface FieldInfo {
  readonly name: string
  /** Name of its type in pg_catalog. */
  readonly type: string
}

/** Which keys of some rows are the first of their kind, asked while their range goes through the stages. */
export interface KeyQuestion {
  readonly id: number
  /** The range, by its first byte. */
  readonly start: number
  /** Another number for each time that a range is taken through the stages. */
  readonly pass: number
  readonly stage: number
  readonly set: number
  /** Null to be told of the range's turn alone. */
  readonly keys: KeyBatch | null
}

/** To the thread of a lane; `open` comes first, `abort` whenever the thread is to end. */
export type ThreadMessage =
  | {
      readonly type: 'open'
      readonly input: LaneInput
      readonly stages: readonly StageSpec[]
    }
  | { readonly type: 'abort' }
  | ToLane

/**
 * To a lane that knows its input: `connect` before `load`. After `load` the ranges are loaded, before it their types are
 * inferred. `recall` is a range that is loaded already, for its keys alone. `replan` answers `misfit`, `answer` a question.
 */
export type ToLane =
  | { readonly type: 'connect'; readonly connection: ConnectionTarget; readonly retryFor: number }
  | { readonly type: 'infer'; readonly cut: RangeBytes }
  | { readonly type: 'load'; readonly plan: LoadPlan }
  | { readonly type: 'replan'; readonly plan: LoadPlan | null }
  | { readonly type: 'range'; readonly cut: RangeBytes }
  | { readonly type: 'recall'; readonly cut: RangeBytes }
  | { readonly type: 'answer'; readonly id: number; readonly answer: Firsts | null }
  | { readonly type: 'end' }

/** From a lane. */
export type FromLane =
  | {
      readonly type: 'inferred'
      readonly columns: readonly InferredColumn[]
      readonly checksum: number
      readonly range: Range
      readonly buffer: ArrayBuffer
    }
  | {
      readonly type: 'loaded'
      readonly range: Range
      readonly rows: number
      /** Rows that were kept out, with their reasons. */
      readonly rejected: number
      readonly outcome: 'committed' | 'done'
      readonly milliseconds: number
      /** What the stages have done; nothing for a chunk that was committed before. */
      readonly stages: readonly StageStats[]
      readonly buffer: ArrayBuffer
    }
  | {
      /** Values do not fit the types of their columns, or the columns were widened meanwhile. */
      readonly type: 'misfit'
      readonly epoch: number
      /** The types of the chunk's values. */
      readonly columns: readonly InferredColumn[]
    }
  | { readonly type: 'ask'; readonly question: KeyQuestion }
  | { readonly type: 'staged'; readonly start: number }
  | { readonly type: 'recalled'; readonly range: Range; readonly buffer: ArrayBuffer }
  | {
      /** Something went wrong that may pass: it is tried again. */
      readonly type: 'fault'
      readonly message: string
      /** Whether it went well in between. */
      readonly isFirst: boolean
    }

/** From the thread of a lane; `ready` comes first, when all of its modules are loaded. */
export type FromThread =
  | FromLane
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'ended' }

/** An error of Millrace as it travels between threads: its class would be lost on the way. */
export interface WireError {
  readonly kind: 'config' | 'source' | 'stage' | 'target' | 'checkpoint' | 'aborted' | 'unknown'
  readonly code: ErrorCode | null
  readonly message: string
  readonly where: Where | undefined
  readonly hint: string | undefined
  readonly retryable: boolean
  readonly server: object | undefined
  readonly stack: string | undefined
}
