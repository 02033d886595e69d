import { Writable } from 'node:stream'
import type { Client } from 'pg'
import { endRun, holdJob, laneName, type RunStatus } from '../../checkpoint/job.ts'
import { completeInput } from '../../checkpoint/job-state.ts'
import { prepareState } from '../../checkpoint/schema.ts'
import type { Position, Range } from '../../chunk/range.ts'
import { BlockPool } from '../../copy/block-pool.ts'
import { RowCursor, RowPlan } from '../../copy/rows.ts'
import { BadColumnValue } from '../../copy/text-rows.ts'
import { AbortedError, ConfigError, MillraceError, toError } from '../../core/errors.ts'
import { parseTableName } from '../../core/identifier.ts'
import { type Logger, silentLog } from '../../core/log.ts'
import { warnOfAddress } from '../../target/address-warnings.ts'
import { findTable } from '../../target/catalog.ts'
import { ChunkLoader } from '../../target/chunk-transaction.ts'
import { connect, type ConnectionTarget, disconnect, type Server } from '../../target/connect.ts'
import { RefusedRow } from '../../target/copy-parts.ts'
import { requireNoCrash } from '../../target/job-table.ts'
import { wrapServerError } from '../../target/server-error.ts'
import { aborted } from '../abort.ts'
import { badValueError, refusedRowError } from '../lanes/bad-row.ts'
import { JobKeeper } from '../job/job-keeper.ts'
import { requireClaims } from '../job/lost-chunks.ts'
import { COMMIT_LATER, LaneConnection, RETRY_FOR_MS } from '../lanes/lane-connection.ts'
import { resolveTable } from '../job/plan.ts'
import { VERSION } from '../version.ts'
import { RangeFeed } from './range-feed.ts'
import { requireChunk, type StreamChunk } from './stream-chunk.ts'
import {
  positionBehind,
  type ReadyJob,
  readStreamJob,
  readyJob,
  requireTarget,
  type StreamJob,
} from './stream-job.ts'

/** Where chunks go, and under which name what is committed is remembered. */
export interface TableWriterOptions {
  /** A `postgres://` URL, or a pool of the package `pg`; two connections. */
  readonly to: Server
  /** `table` or `schema.table`. */
  readonly table: string
  /** Name of the job. */
  readonly job: string
  /** Whether a missing table is created, the default, or an error. */
  readonly create?: 'if-missing' | 'never' | undefined
  /** Types by column name, for a table that is created; those of the chunks' columns by default. */
  readonly types?: Readonly<Record<string, string>> | undefined
  /** What to do with a job that was begun before; 'resume' by default. Rows of the earlier run stay with 'restart'. */
  readonly resume?: 'resume' | 'restart' | undefined
  /** Schema of the checkpoint's tables; `millrace` by default. */
  readonly stateSchema?: string | undefined
  /** Silent by default. */
  readonly log?: Logger | undefined
}

/** Blocks that are encoded or under way: 6 MiB. */
const BLOCKS = 24
/** A connection that does not answer is given up this long after the stream was destroyed. */
const GIVE_UP_MS = 8_500

/**
 * Opens a Writable that copies the chunks of a stream into a table: each range in a transaction of its own, together with
 * its claim.
 *
 * Shape:  `position` tells the reader where to go on. A stream that fails leaves what was committed; the same stream from
 *         `position` on adds the rest, each row once.
 * Life:   it holds the job, and two connections, until it has finished; when it is destroyed, until its `close` event.
 * Errors: TARGET_*, CHECKPOINT_* when it opens; the stream's own are those of load(), and CONFIG_USAGE for chunks that do
 *         not follow one another from `position` on. A lost connection fails it.
 */
export async function tableWriter(options: TableWriterOptions): Promise<TableWriter> {
  const stateSchema = options.stateSchema ?? 'millrace'
  const { create = 'if-missing', types = {}, log = silentLog } = options
  const connection = { server: options.to, applicationName: 'millrace' }
  await warnOfAddress(options.to, log)
  const client = await connect(connection)
  try {
    await prepareState(client, stateSchema)
    const name = await resolveTable(client, parseTableName(options.table))
    const job = await holdJob(client, stateSchema, options.job, VERSION)
    try {
      const table = await findTable(client, name)
      const known = await readStreamJob(client, stateSchema, job, options.resume ?? 'resume')
      const stream = { client, stateSchema, job, name, table, create, types, ...known }
      if (known.input !== null) await requireTarget(stream)
      return new TableWriter(stream, positionBehind(known.claims), connection, log)
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : 'INTERNAL'
      await endRun(client, stateSchema, job.run, 'failed', code).catch(() => undefined)
      throw error
    }
  } catch (error) {
    await disconnect(connection, client).catch(() => undefined) // the first error tells more
    throw wrapServerError(error)
  }
}

/** A job that takes chunks. */
interface Loading extends ReadyJob {
  readonly plan: RowPlan
  readonly loader: ChunkLoader<RangeFeed>
}

/** See tableWriter(). */
export class TableWriter extends Writable {
  readonly #job: StreamJob
  readonly #keeper: JobKeeper
  readonly #lane: LaneConnection
  readonly #pool = new BlockPool(BLOCKS)
  readonly #cursor = new RowCursor()
  #loading: Loading | null = null
  #feed: RangeFeed | null = null
  #loaded: Promise<void> = Promise.resolve()
  #position: Position | null
  /** Where the first range of all starts; null before it. */
  #first: number | null
  /** Where the next range starts; null where any may come. */
  #next: number | null
  /** Of the chunk before, in its range. */
  #ordinal = 0
  #rows = 0

  /** @internal */
  constructor(
    job: StreamJob,
    position: Position | null,
    connection: ConnectionTarget,
    log: Logger,
  ) {
    super({ objectMode: true, highWaterMark: 2 })
    this.#job = job
    this.#position = position
    this.#first = job.claims[0]?.start ?? null
    this.#next = position?.byte ?? null
    this.#keeper = new JobKeeper(
      job.client,
      connection,
      job.stateSchema,
      job.job,
      RETRY_FOR_MS,
      log,
    )
    const lane = { ...connection, applicationName: laneName(job.job.run) }
    this.#lane = new LaneConnection(lane, COMMIT_LATER, RETRY_FOR_MS)
  }

  /** Behind the last row that is committed: where a reader goes on; null at the start. */
  get position(): Position | null {
    return this.#position
  }

  /** Rows that this stream has committed. */
  get rows(): number {
    return this.#rows
  }

  override _write(
    chunk: StreamChunk,
    _: BufferEncoding,
    callback: (error: Error | null) => void,
  ): void {
    this.#take(chunk).then(
      () => callback(null),
      (error: unknown) => callback(this.#explain(error)),
    )
  }

  override _final(callback: (error: Error | null) => void): void {
    this.#complete().then(
      () => callback(null),
      (error: unknown) => callback(this.#explain(error)),
    )
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#leave(error).then(
      () => callback(error),
      (failure: unknown) => callback(error ?? toError(failure)),
    )
  }

  async #take(chunk: StreamChunk): Promise<void> {
    requireChunk(chunk)
    this.#requireNext(chunk)
    this.#loading ??= await this.#begin(chunk)
    if (this.destroyed) throw aborted() // what ends a feed has been and gone
    const { loader, plan } = this.#loading
    if (chunk.place.ordinal === 0) {
      this.#feed = new RangeFeed(chunk, plan, this.#cursor, this.#pool)
      this.#loaded = loader.load(this.#feed)
      this.#loaded.catch(() => undefined) // whoever waits for it hears of it
    }
    const feed = this.#feed!
    await Promise.race([feed.push(chunk), this.#loaded])
    if (!chunk.place.isLast) return
    feed.end()
    await this.#loaded
    this.#feed = null
    // The next chunk is waited for with everything committed, however long that takes.
    if (this.writableLength <= 1) await loader.commit()
  }

  /** Rows of a range that is not whole, or not the next one, would be lost or doubled. */
  #requireNext({ place: { ordinal }, range }: StreamChunk): void {
    const expected = this.#feed === null ? 0 : this.#ordinal + 1
    if (ordinal !== expected) throw notWhole()
    this.#ordinal = ordinal
    if (ordinal > 0) return
    if (range.start !== (this.#next ?? range.start)) throw notNext(range, this.#next!)
    this.#first ??= range.start
    this.#next = range.end
  }

  async #begin(chunk: StreamChunk): Promise<Loading> {
    const ready = await this.#keeper.use((client) => readyJob({ ...this.#job, client }, chunk))
    const { table, mapping, input } = ready
    const { stateSchema, job } = this.#job
    const target = { table, columns: mapping.names }
    const { isUnlogged: unlogged } = table
    const scope = { stateSchema, job: job.id, epoch: job.epoch, run: job.run, input, unlogged }
    const onEnd = (feed: RangeFeed, outcome: 'committed' | 'done'): void => {
      const { end, firstRecord, records, firstLine, lines } = feed.range
      this.#position = { byte: end, record: firstRecord + records, line: firstLine + lines }
      if (outcome === 'committed') this.#rows += feed.counts.loaded
    }
    const client = await this.#lane.client
    const loader = new ChunkLoader<RangeFeed>(client, target, scope, this.#pool, onEnd)
    return { ...ready, plan: new RowPlan(mapping.columns), loader }
  }

  async #complete(): Promise<void> {
    if (this.#feed !== null) throw notWhole()
    const { stateSchema, input } = this.#job
    await this.#loading?.loader.commit()
    const id = this.#loading?.input ?? input?.id
    const end = this.#position?.byte ?? 0
    if (id !== undefined) {
      const table = this.#loading?.table
      await this.#keeper.use(async (client) => {
        if (table?.isUnlogged === true) {
          await requireNoCrash(client, stateSchema, this.#job.job.id, table)
        }
        await requireClaims(client, stateSchema, id, end - (this.#first ?? end))
        await completeInput(client, stateSchema, id, end)
      })
    }
    await this.#end('complete', null)
    await this.#close()
  }

  /** Lets go of everything, unless the stream has done so at its end; a range that is not whole is rolled back. */
  async #leave(error: Error | null): Promise<void> {
    if (this.writableFinished) return
    const timer = setTimeout(() => this.#giveUp(), GIVE_UP_MS)
    try {
      await this.#stop(error)
    } finally {
      await this.#close()
      clearTimeout(timer)
    }
  }

  async #close(): Promise<void> {
    this.#pool.close()
    await Promise.all([this.#lane.close(), this.#keeper.close()])
  }

  async #stop(error: Error | null): Promise<void> {
    this.#feed?.fail(error ?? new Error('the stream was destroyed'))
    await this.#loaded.catch(() => undefined) // the stream's error is why, or is told of it
    await this.#loading?.loader.commit().catch(() => undefined) // lost: the next run finds it missing
    const interrupted =
      error === null || error.name === 'AbortError' || error instanceof AbortedError
    const code = error instanceof MillraceError ? error.code : 'INTERNAL'
    await this.#end(
      interrupted ? 'interrupted' : 'failed',
      interrupted ? 'RUN_ABORTED' : code,
    ).catch(
      () => undefined, // the server is gone: a later run finds the job free
    )
  }

  #end(status: RunStatus, code: string | null): Promise<void> {
    const { stateSchema, job } = this.#job
    return this.#keeper.use((client: Client) => endRun(client, stateSchema, job.run, status, code))
  }

  #giveUp(): void {
    this.#lane.giveUp()
    this.#keeper.giveUp()
  }

  /** The error with the place of the row that it is about. */
  #explain(thrown: unknown): Error {
    const feed = this.#feed
    if (feed !== null && thrown instanceof RefusedRow) {
      return refusedRowError(thrown.refusal, feed.where(thrown.row))
    }
    if (feed !== null && thrown instanceof BadColumnValue) {
      const column = this.#loading!.mapping.names[thrown.column]!
      return badValueError(thrown, column, feed.where(thrown.row))
    }
    return wrapServerError(thrown)
  }
}

function notNext({ start }: Range, expected: number): ConfigError {
  const message = `chunks from byte ${String(start)} on were written, expected those from byte ${String(expected)} on`
  return new ConfigError('CONFIG_USAGE', message, {
    hint: 'read behind what is committed, as in source.chunks(table.position)',
  })
}

function notWhole(): ConfigError {
  const message = 'some chunks of a range are missing: what is committed at a time is not whole'
  return new ConfigError('CONFIG_USAGE', message, {
    hint: 'pass all chunks on, also those without rows; through(filter(...)) leaves rows out',
  })
}
