import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { Client } from 'pg'
import { beat, endRun, type HeldJob, holdJob } from '../checkpoint/job.ts'
import { completeInput } from '../checkpoint/job-state.ts'
import { prepareState } from '../checkpoint/schema.ts'
import { AbortedError, ConfigError, MillraceError, toError } from '../core/errors.ts'
import { silentLog } from '../core/log.ts'
import type { ByteSource } from '../source/bytes/byte-source.ts'
import { openInput } from '../source/open.ts'
import { selectEngine } from '../source/csv/select-engine.ts'
import { connect, type ConnectionTarget } from '../target/connect.ts'
import { wrapServerError } from '../target/server-error.ts'
import { BufferPool } from './buffer-pool.ts'
import { type CsvStart, readStart } from './header.ts'
import { Lanes, type LoadedRange, RANGES_PER_LANE } from './lanes.ts'
import type { LoadOptions, Settings } from './options.ts'
import { parseTableName, resolveTable, tableNameOf } from './plan.ts'
import { type JobRequest, prepareJob } from './prepare-job.ts'
import { ProgressTicker } from './progress.ts'
import { remainingCuts } from './remaining-cuts.ts'
import type { Summary } from './summary.ts'
import { Tally } from './tally.ts'
import { VERSION } from './version.ts'

const MOST_LANES = 8
const MEBIBYTE = 1 << 20
const HEARTBEAT_MS = 5000

/**
 * Loads an input into a table: all of its rows, once, however often this is called and whatever ends it.
 *
 * Shape:  resolves when every range is committed. A failed or stopped load leaves committed ranges in the table and the
 *         checkpoint; calling it again with the same options goes on from there.
 * Errors: a MillraceError; its `code` tells what is to be done. After it nothing of the load is left: no thread,
 *         connection, timer or file.
 */
export async function load(options: LoadOptions): Promise<Summary> {
  const settings = settingsOf(options)
  settings.signal.throwIfAborted()
  const opened = await openInput(options.input)
  try {
    const start = await readStart(opened, options.dialect ?? {}, settings.maxRecord)
    const named = options.columns === undefined ? start : withNames(start, options.columns)
    settings.log.debug({ dialect: named.dialect, reasons: named.reasons }, 'dialect')
    return await loadFrom(options, settings, named)
  } finally {
    await opened.close()
  }
}

function settingsOf(options: LoadOptions): Settings {
  const settings = {
    lanes: options.lanes ?? Math.min(availableParallelism(), MOST_LANES),
    chunkSize: options.chunkSize ?? 8 * MEBIBYTE,
    maxRecord: options.maxRecord ?? 16 * MEBIBYTE,
    stateSchema: options.stateSchema ?? 'millrace',
    create: options.create ?? 'if-missing',
    resume: options.resume ?? 'resume',
    signal: options.signal ?? new AbortController().signal,
    log: options.log ?? silentLog,
  }
  requireWithin('--lanes', settings.lanes, 1, 64)
  requireWithin('--chunk-size', settings.chunkSize, 1024, 1024 * MEBIBYTE)
  requireWithin('--max-record', settings.maxRecord, 1024, 512 * MEBIBYTE)
  return settings
}

function requireWithin(option: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  const message = `${option} is ${String(value)}, expected ${String(least)} to ${String(most)}`
  throw new ConfigError('CONFIG_BAD_VALUE', message)
}

function withNames(start: CsvStart, names: readonly string[]): CsvStart {
  if (names.length === start.fieldCount) return { ...start, names }
  const message = `--columns names ${String(names.length)} columns, the input has ${String(start.fieldCount)} fields`
  throw new ConfigError('CONFIG_BAD_VALUE', message, {
    hint: 'name one column for each field, in the order of the file',
  })
}

async function loadFrom(
  options: LoadOptions,
  settings: Settings,
  start: CsvStart,
): Promise<Summary> {
  const connection = { url: options.to, applicationName: 'millrace' }
  const client = await connect(connection)
  try {
    return await loadHeld(client, connection, options, settings, start)
  } catch (error) {
    throw error instanceof MillraceError ? error : wrapServerError(error)
  } finally {
    await client.end().catch(() => undefined) // lost already: nothing to end
  }
}

/** Takes the job, loads, and gives the job back, whatever came of it. */
async function loadHeld(
  client: Client,
  connection: ConnectionTarget,
  options: LoadOptions,
  settings: Settings,
  start: CsvStart,
): Promise<Summary> {
  const { stateSchema, signal, log } = settings
  await prepareState(client, stateSchema)
  const where = parseTableName(options.table ?? defaultTable(start.source, options))
  const { name, table } = await resolveTable(client, where)
  const key = options.job ?? defaultJob(start.source, `${name.schema}.${name.table}`)
  const job = await holdJob(client, stateSchema, key, VERSION)
  const heartbeat = startHeartbeat(client, settings, job)
  const tally = new Tally({ id: job.run, job: key, lanes: settings.lanes }, start.source.size)
  const ticker =
    options.onProgress && new ProgressTicker(() => tally.progress(), options.onProgress)
  try {
    const onInferred = (bytes: number): void => tally.inferred(bytes)
    const types = options.types ?? {}
    const request = { client, settings, start, job, name, table, types, onInferred }
    const status = await runJob(request, connection, tally)
    await endRun(client, stateSchema, job.run, status, null)
    return tally.summary(status, start.source.name)
  } catch (thrown) {
    const error = thrown instanceof MillraceError ? thrown : wrapServerError(thrown)
    const status = error instanceof AbortedError || signal.aborted ? 'interrupted' : 'failed'
    await endRun(client, stateSchema, job.run, status, error.code).catch((failure: unknown) => {
      log.warn({ reason: toError(failure).message }, 'the end of this run could not be noted')
    })
    throw error
  } finally {
    clearInterval(heartbeat)
    ticker?.stop()
  }
}

/** Prepares a held job and loads what remains of it. */
async function runJob(
  request: JobRequest,
  connection: ConnectionTarget,
  tally: Tally,
): Promise<'complete' | 'already-complete'> {
  const { client, settings, start, job } = request
  const { source, dialect, data } = start
  const buffers = new BufferPool(settings.chunkSize, settings.lanes * RANGES_PER_LANE + 2)
  const input = { source: source.name, dialect, fieldCount: start.fieldCount }
  const lanes = new Lanes(settings.lanes, input, buffers, settings.log)
  try {
    const prepared = await prepareJob(request, lanes, buffers)
    tally.prepared(prepared)
    if (prepared.input.completedAt !== null && source.size !== null) return 'already-complete'

    const { table, mapping, claims } = prepared
    const scope = {
      stateSchema: settings.stateSchema,
      job: job.id,
      epoch: job.epoch,
      run: job.run,
      input: prepared.input.id,
    }
    const target = { table: { schema: table.schema, table: table.table }, columns: mapping.names }
    const plan = { connection, target, columns: mapping.columns, scope }
    const cuts = remainingCuts(source, selectEngine(dialect), claims, data, settings, buffers)
    let end = claims.at(-1)?.end ?? data.byte
    const onLoaded = (loaded: LoadedRange): void => {
      end = Math.max(end, loaded.range.end)
      tally.add(loaded)
      settings.log.debug(chunkFields(loaded), 'chunk committed')
    }
    await lanes.load(plan, cuts, onLoaded, settings.signal)
    await source.verify()
    await completeInput(client, settings.stateSchema, prepared.input.id, source.size ?? end)
    const nothingNew = prepared.input.completedAt !== null && tally.progress().chunks === 0
    return nothingNew ? 'already-complete' : 'complete'
  } finally {
    await lanes.close()
  }
}

function chunkFields({ range, rows, outcome, milliseconds }: LoadedRange): object {
  return {
    start: range.start,
    end: range.end,
    rows,
    outcome,
    milliseconds: Math.round(milliseconds),
  }
}

function startHeartbeat(client: Client, settings: Settings, job: HeldJob): NodeJS.Timeout {
  const heartbeat = setInterval(() => {
    beat(client, settings.stateSchema, job.run).catch((error: unknown) => {
      settings.log.warn({ reason: toError(error).message }, 'the heartbeat of this run failed')
    })
  }, HEARTBEAT_MS)
  heartbeat.unref()
  return heartbeat
}

function defaultTable(source: ByteSource, options: LoadOptions): string {
  if (typeof options.input === 'string') return `"${tableNameOf(source.name)}"`
  throw new ConfigError('CONFIG_USAGE', 'a stream has no name to take the table from', {
    hint: 'name the table with --table',
  })
}

/** A job is known by its input and its table; a stream without a name of its own is a new job each time. */
function defaultJob(source: ByteSource, table: string): string {
  return source.identity === null
    ? `${source.name} ${randomUUID()} -> ${table}`
    : `${source.name} -> ${table}`
}
