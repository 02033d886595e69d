/**
 * The errors of Millrace: one base class and a kind for each thing that a caller branches on.
 *
 * Shape:  `code` is stable and literal; the message says what, where, got and the rule; `hint` names the option to set.
 * Rule:   messages and fields never carry a row's value or a password.
 */

/** Where in an input something was found. Counts start at 1, `byte` is a 0-based offset. */
export interface Where {
  readonly source?: string
  readonly record?: number
  readonly line?: number
  readonly byte?: number
  readonly column?: string
}

export interface ErrorDetails {
  readonly where?: Where | undefined
  /** What the user can do about it, naming the option to set. */
  readonly hint?: string | undefined
  readonly cause?: unknown
  /** Running the same command again may succeed without any change. */
  readonly retryable?: boolean
}

export type ConfigCode =
  | 'CONFIG_USAGE'
  | 'CONFIG_BAD_VALUE'
  | 'CONFIG_BAD_STAGE'
  | 'CONFIG_UNKNOWN_COLUMN'
  | 'CONFIG_MISSING_COLUMN'

export type SourceCode =
  | 'SOURCE_NOT_FOUND'
  | 'SOURCE_UNREADABLE'
  | 'SOURCE_CHANGED_WHILE_READING'
  | 'SOURCE_BAD_ROW'
  | 'SOURCE_BAD_HEADER'
  | 'SOURCE_ROW_TOO_LARGE'
  | 'SOURCE_UNTERMINATED_QUOTE'

export type TargetCode =
  | 'TARGET_UNREACHABLE'
  | 'TARGET_CONNECTION_LOST'
  | 'TARGET_TEMPORARY'
  | 'TARGET_NO_TABLE'
  | 'TARGET_ROW_REFUSED'
  | 'TARGET_REFUSED'
  | 'TARGET_EMBEDDED'

export type CheckpointCode =
  | 'CHECKPOINT_INPUT_CHANGED'
  | 'CHECKPOINT_INPUT_GROWN'
  | 'CHECKPOINT_TARGET_CHANGED'
  | 'CHECKPOINT_OPTIONS_CHANGED'
  | 'CHECKPOINT_HELD'
  | 'CHECKPOINT_FENCED'
  | 'CHECKPOINT_SCHEMA'

export type StageCode =
  'STAGE_THREW' | 'STAGE_CAST' | 'STAGE_INVALID' | 'STAGE_VALUE' | 'STAGE_LIMIT' | 'STAGE_NO_ROW'

export type ErrorCode =
  | ConfigCode
  | SourceCode
  | StageCode
  | TargetCode
  | CheckpointCode
  | 'QUALITY_FAILED'
  | 'REJECTED_TOO_MANY'
  | 'REJECTS_NOT_WRITTEN'
  | 'RUN_ABORTED'

export abstract class MillraceError extends Error {
  abstract readonly code: ErrorCode
  readonly where: Where | undefined
  readonly hint: string | undefined
  readonly retryable: boolean

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
    this.where = details.where
    this.hint = details.hint
    this.retryable = details.retryable ?? false
  }
}

/** The command line, a configuration value or a mapping is wrong: nothing was started. */
export class ConfigError extends MillraceError {
  readonly code: ConfigCode
  constructor(code: ConfigCode, message: string, details?: ErrorDetails) {
    super(message, details)
    this.code = code
  }
}

/** The input cannot be opened or read, or a row of it is not sound. */
export class SourceError extends MillraceError {
  readonly code: SourceCode
  constructor(code: SourceCode, message: string, details?: ErrorDetails) {
    super(message, details)
    this.code = code
  }
}

/** A stage could not take a row. */
export class StageError extends MillraceError {
  readonly code: StageCode
  constructor(code: StageCode, message: string, details?: ErrorDetails) {
    super(message, details)
    this.code = code
  }
}

/** What PostgreSQL said, when it said no. Fields as in the protocol, values left out. */
export interface ServerFields {
  readonly sqlstate?: string | undefined
  readonly constraint?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
}

/** The server cannot be reached, or refuses a row or a statement. */
export class TargetError extends MillraceError {
  readonly code: TargetCode
  readonly server: ServerFields
  /** The row of a COPY, from 1, that the server has named. */
  readonly copyLine: number | undefined
  constructor(code: TargetCode, message: string, details: TargetDetails = {}) {
    super(message, details)
    this.code = code
    this.server = details.server ?? {}
    this.copyLine = details.copyLine
  }
}

interface TargetDetails extends ErrorDetails {
  readonly server?: ServerFields
  readonly copyLine?: number | undefined
}

/** The checkpoint does not allow this run: the input, the target or the options differ, or another run holds the job. */
export class CheckpointError extends MillraceError {
  readonly code: CheckpointCode
  constructor(code: CheckpointCode, message: string, details?: ErrorDetails) {
    super(message, details)
    this.code = code
  }
}

/** A rule about the rows of a job, and what it has come to: figures of many rows, never the value of one. */
export interface BrokenRule {
  readonly rule: string
  readonly expected: string
  readonly got: string
}

/** The rows of a job, all together, are not what its rules want them to be. They are committed by then, if only staged. */
export class QualityError extends MillraceError {
  readonly code = 'QUALITY_FAILED'
  readonly broken: readonly BrokenRule[]
  constructor(message: string, broken: readonly BrokenRule[], details?: ErrorDetails) {
    super(message, details)
    this.broken = broken
  }
}

/** Why rows were rejected, and the first of them. */
export interface RejectReason {
  /** SQLSTATE, or a code of Millrace. */
  readonly code: string
  readonly column: string | null
  readonly constraint: string | null
  readonly stage: string | null
  /** How many. */
  readonly rows: number
  readonly record: number
  readonly line: number
}

/** More rows of an input were rejected than are allowed. What was loaded is committed, and so are the rejects. */
export class RejectError extends MillraceError {
  readonly code = 'REJECTED_TOO_MANY'
  /** The most common ones; none where they are not read yet. */
  readonly reasons: readonly RejectReason[]
  constructor(message: string, reasons: readonly RejectReason[], details?: ErrorDetails) {
    super(message, details)
    this.reasons = reasons
  }
}

/** A file of rejects cannot be written. The rejects stay where they are kept. */
export class OutputError extends MillraceError {
  readonly code = 'REJECTS_NOT_WRITTEN'
}

/** The caller asked to stop. Chunks that were committed stay loaded. */
export class AbortedError extends MillraceError {
  readonly code = 'RUN_ABORTED'
}

/** An `Error` for whatever a third party has thrown. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
