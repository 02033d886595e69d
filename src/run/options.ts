import { Readable } from 'node:stream'
import type { Logger } from '../core/log.ts'
import type { CsvDialect } from '../source/csv/dialect.ts'
import type { Server } from '../target/connect.ts'
import type { CsvInput } from './streams/csv-input.ts'
import type { MaxErrors } from './job/reject-limit.ts'
import type { Progress } from './progress.ts'
import type { StageOption } from './stages/stage-source.ts'

/** What `load` takes. Sizes in bytes. */
export interface LoadOptions {
  /** A path, a stream, or what csv() makes of one; the options beside it go before what that says. */
  readonly input: string | Readable | CsvInput
  /**
   * A `postgres://` URL, or a pool of the package `pg`. All lanes run in the caller's thread then; the connections they
   * borrow, one each and one for the run, go back closed, for their session settings were changed.
   */
  readonly to: Server
  /** `table` or `schema.table`; the file's name by default. */
  readonly table?: string | undefined
  /** What is known of the CSV dialect; the rest is found out from the start of the input. */
  readonly dialect?: Partial<CsvDialect> | undefined
  /** Names for the input's fields, in their order: for a file without a header, or instead of its own. */
  readonly columns?: readonly string[] | undefined
  /** Types by column name, for a table that is created; inferred by default. */
  readonly types?: Readonly<Record<string, string>> | undefined
  /** Whether a missing table is created, the default, or an error. */
  readonly create?: 'if-missing' | 'never' | undefined
  /**
   * What the rows pass through, in order: stages, or paths of modules whose default export is a stage or a list of them.
   * A stage with a function of the caller's runs in the caller's thread, and so do all lanes then; a module runs in each
   * lane's thread.
   */
  readonly stages?: readonly StageOption[] | undefined
  /** Connections, each in a thread of its own, no more than there are chunks; the number of cores by default, at most 8. */
  readonly lanes?: number | undefined
  /** Bytes of a chunk, the unit of commit; 8 MiB by default. */
  readonly chunkSize?: number | undefined
  /** Bytes of one record, at most; 16 MiB by default. */
  readonly maxRecord?: number | undefined
  /**
   * Rows that may be rejected before the load fails with REJECTED_TOO_MANY: a count, or a share such as `1%`, the default,
   * judged from the first 1,000 records on and at the end. 0 stops at the first.
   */
  readonly maxErrors?: MaxErrors | undefined
  /**
   * How long faults that may pass are tried again, in milliseconds, without a chunk getting through meanwhile: lost
   * connections, restarts, deadlocks, full disks and the like. 5 minutes by default, 0 for not at all.
   */
  readonly retryFor?: number | undefined
  /** A connection over which nothing comes for so many milliseconds is looked after, and made anew if it is dead; 60 s by default. */
  readonly ioTimeout?: number | undefined
  /**
   * A file that the rejects of the input are written to at the end, also where there are too many: those of all runs that
   * are not replayed. A path that ends in `.ndjson`, `.csv` or `.parquet`.
   */
  readonly rejects?: string | undefined
  /**
   * What an input that does not exist is: the error SOURCE_NOT_FOUND, the default, or nothing to load: a warning, and a
   * summary with the status 'missing'. One that is there and cannot be read is an error in either case.
   */
  readonly missing?: 'fail' | 'ok' | undefined
  /**
   * All or nothing: rows wait in a staging table until the input is at its end and all that judges them is content, and are in
   * the table from one moment on. It belongs to the job.
   */
  readonly atomic?: boolean | undefined
  /** Name of the job; from input and table by default. A stream can only be resumed under a name. */
  readonly job?: string | undefined
  /** What to do with a job that was begun before; 'resume' by default. */
  readonly resume?: 'resume' | 'restart' | 'appended' | undefined
  /** Schema of the checkpoint's tables in the target database; `millrace` by default. */
  readonly stateSchema?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Told about four times a second. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Silent by default. */
  readonly log?: Logger | undefined
}

/** The options, with what a source knows of itself among them. */
export interface PlainOptions extends LoadOptions {
  readonly input: string | Readable
}

export function plainOptions(options: LoadOptions): PlainOptions {
  const { input } = options
  if (typeof input === 'string' || input instanceof Readable) return { ...options, input }
  return {
    ...options,
    input: input.input,
    dialect: { ...input.dialect, ...options.dialect },
    columns: options.columns ?? input.columns,
    types: { ...input.types, ...options.types },
  }
}

/** The options with their defaults. */
export interface Settings {
  readonly lanes: number
  readonly chunkSize: number
  readonly maxRecord: number
  readonly maxErrors: MaxErrors
  readonly retryFor: number
  readonly ioTimeout: number | undefined
  readonly stateSchema: string
  readonly create: 'if-missing' | 'never'
  readonly resume: 'resume' | 'restart' | 'appended'
  readonly missing: 'fail' | 'ok'
  readonly atomic: boolean
  readonly signal: AbortSignal
  readonly log: Logger
}
