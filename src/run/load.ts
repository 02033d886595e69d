import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { Client } from 'pg'
import { endRun, holdJob, laneName } from '../checkpoint/job.ts'
import { completeInput } from '../checkpoint/job-state.ts'
import { rejectReasons } from '../checkpoint/rejects.ts'
import { prepareState } from '../checkpoint/schema.ts'
import {
  AbortedError,
  CheckpointError,
  ConfigError,
  RejectError,
  type RejectReason,
  type TargetError,
} from '../core/errors.ts'
import { parseTableName } from '../core/identifier.ts'
import { silentLog } from '../core/log.ts'
import { Backoff } from '../core/backoff.ts'
import { columnLimits } from '../copy/column-limits.ts'
import type { ByteSource } from '../source/bytes/byte-source.ts'
import type { CutLimits } from '../source/csv/cut.ts'
import { warnOfAddress } from '../target/address-warnings.ts'
import { findTable, type Table } from '../target/catalog.ts'
import { disconnect, reconnect, type Server } from '../target/connect.ts'
import type { CopyTarget } from '../target/copy-parts.ts'
import { breakConnection } from '../target/end-client.ts'
import { requireNoCrash } from '../target/job-table.ts'
import { isFault, wrapServerError } from '../target/server-error.ts'
import { BufferPool } from './buffer-pool.ts'
import { aborted, afterAbort } from './abort.ts'
import { type CsvStart, readStart } from './header.ts'
import type { LoadPlan } from './lane-protocol.ts'
import { lanePlace } from './lane-handle.ts'
import { Lanes, type LoadedRange, type OnMisfit, RANGES_PER_LANE } from './lanes.ts'
import { JobKeeper } from './job-keeper.ts'
import { RETRY_FOR_MS } from './lane-connection.ts'
import { LostChunks, requireClaims } from './lost-chunks.ts'
import { missingSummary, openUnlessMissing } from './missing-input.ts'
import { noteFailure } from './note-failure.ts'
import { type LoadOptions, type PlainOptions, plainOptions, type Settings } from './options.ts'
import { resolveTable, tableNameOf } from './plan.ts'
import { type JobRequest, prepareJob, type PreparedJob } from './prepare-job.ts'
import { ProgressTicker } from './progress.ts'
import { publishJob } from './publish.ts'
import { judgeQuality } from './quality-gate.ts'
import { fateOfRejects, parseMaxErrors, RejectLimit } from './reject-limit.ts'
import { requireRejectsFile, thenWriteRejects } from './rejects/after-load.ts'
import { remainingCuts } from './remaining-cuts.ts'
import { type RunStages, StageSource } from './stage-source.ts'
import type { Summary } from './summary.ts'
import { Tally } from './tally.ts'
import { VERSION } from './version.ts'
import { widenColumns } from './widen.ts'

const MOST_LANES = 8
/** A stopped run that still waits for its server gives its connection up after this; the lanes have less. */
const GIVE_UP_MS = 8_500
/** A server that has never answered is more likely a wrong address than one that is about to. */
const FIRST_TRIES = 2
/** Fields of a chunk, about: 8 MiB of offsets. An 8 MiB chunk of lineitem has as many. */
const MOST_FIELDS = 1 << 20
const MEBIBYTE = 1 << 20

/**
 * Loads an input into a table: all of its rows, once, however often this is called and whatever ends it.
 *
 * Shape:  resolves when every range is committed. A failed or stopped load leaves committed ranges in the table and the
 *         checkpoint; calling it again with the same options goes on from there.
 * Errors: a MillraceError; its `code` tells what is to be done. After it nothing of the load is left: no thread,
 *         connection, timer or file.
 */
export async function load(given: LoadOptions): Promise<Summary> {
  const options = plainOptions(given)
  const settings = settingsOf(options)
  await warnOfAddress(options.to, settings.log)
  if (options.rejects !== undefined) await requireRejectsFile(options.rejects)
  const backoff = new Backoff(settings.retryFor, settings.signal)
  let answered = false
  let lost: Client | null = null
  for (;;) {
    try {
      return await loadOnce(options, settings, lost)
    } catch (error) {
      if (!(error instanceof NotBegun)) throw error
      const { fault } = error
      lost = error.lost ?? lost
      answered ||= fault.code !== 'TARGET_UNREACHABLE' || fault.server.sqlstate !== undefined
      if (!answered && backoff.tries === FIRST_TRIES - 1) throw fault
      const level = answered ? 'warn' : 'debug'
      settings.log[level]({ reason: fault.message }, 'the load has to begin again')
      await backoff.pause(fault).catch((last: unknown) => {
        throw settings.signal.aborted ? aborted(last) : last
      })
    }
  }
}

/** A fault came before anything was loaded, or what was loaded is lost; and the input can be read from its start again. */
class NotBegun extends Error {
  readonly fault: TargetError
  /** The connection that the job was to be held over. The server may not have noticed that it is lost. */
  readonly lost: Client | null
  constructor(fault: TargetError, lost: Client | null) {
    super(fault.message, { cause: fault })
    this.fault = fault
    this.lost = lost
  }
}

async function loadOnce(
  options: PlainOptions,
  settings: Settings,
  lost: Client | null,
): Promise<Summary> {
  const opened = await openUnlessMissing(options.input, settings)
  if (opened === null) return missingSummary(options, settings)
  // A stream that gives nothing would be waited for: closing it ends the wait.
  const closeStream = (): void => void (opened.size === null && opened.close())
  settings.signal.addEventListener('abort', closeStream)
  try {
    if (settings.signal.aborted) throw aborted()
    return await loadOpened(options, settings, opened, lost)
  } catch (error) {
    throw settings.signal.aborted && !(error instanceof AbortedError) ? aborted(error) : error
  } finally {
    settings.signal.removeEventListener('abort', closeStream)
    await opened.close()
  }
}

/** Starts the lanes' threads, if there are any, at once: that takes about as long as all that is done before they are needed. */
async function loadOpened(
  options: PlainOptions,
  given: Settings,
  opened: ByteSource,
  lost: Client | null,
): Promise<Summary> {
  const settings = { ...given, lanes: lanesFor(opened.size, given) }
  const buffers = new BufferPool(settings.chunkSize, settings.lanes * RANGES_PER_LANE + 2)
  const stages = new StageSource(options.stages ?? [])
  const { lanes: count, log } = settings
  const place = lanePlace({ lanes: count, stages, server: options.to, bytes: opened.size })
  const lanes = new Lanes(count, place, buffers, log)
  try {
    void stages.find() // compiles while the input is looked at
    const start = await readStart(opened, options.dialect ?? {}, settings.maxRecord)
    const named = options.columns === undefined ? start : withNames(start, options.columns)
    const { source, dialect, reasons, fieldCount } = named
    log.debug({ dialect, reasons }, 'dialect')
    const found = await stages.find()
    const rejects = fateOfRejects(settings.maxErrors)
    lanes.open({ source: source.name, dialect, fieldCount, rejects }, found)
    return await loadFrom(options, settings, named, found, lanes, buffers, lost)
  } finally {
    await lanes.close()
  }
}

/** No more lanes than there are chunks. Why: a lane costs 0.2 s of CPU before it has done anything. */
function lanesFor(size: number | null, { lanes, chunkSize }: Settings): number {
  return size === null ? lanes : Math.min(lanes, Math.max(1, Math.ceil(size / chunkSize)))
}

function settingsOf(options: PlainOptions): Settings {
  const settings = {
    lanes: options.lanes ?? Math.min(availableParallelism(), MOST_LANES, mostLanes(options.to)),
    chunkSize: options.chunkSize ?? 8 * MEBIBYTE,
    maxRecord: options.maxRecord ?? 16 * MEBIBYTE,
    maxErrors: options.maxErrors ?? '1%',
    retryFor: options.retryFor ?? RETRY_FOR_MS,
    ioTimeout: options.ioTimeout,
    stateSchema: options.stateSchema ?? 'millrace',
    create: options.create ?? 'if-missing',
    resume: options.resume ?? 'resume',
    missing: options.missing ?? 'fail',
    atomic: options.atomic ?? false,
    signal: options.signal ?? new AbortController().signal,
    log: options.log ?? silentLog,
  }
  parseMaxErrors(settings.maxErrors)
  requireWithin('--lanes', settings.lanes, 1, Math.min(64, mostLanes(options.to)))
  requireWithin('--chunk-size', settings.chunkSize, 1024, 1024 * MEBIBYTE)
  requireWithin('--max-record', settings.maxRecord, 1024, 512 * MEBIBYTE)
  requireWithin('--retry-for', settings.retryFor, 0, 2 ** 31 - 1)
  if (options.ioTimeout !== undefined) {
    requireWithin('--io-timeout', options.ioTimeout, 1000, 2 ** 31 - 1)
  }
  return settings
}

/** A pool has to lend each lane a connection, and the run one. */
function mostLanes(server: Server): number {
  const max = typeof server === 'string' ? undefined : server.options?.max
  return max === undefined ? Infinity : Math.max(1, max - 1)
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
  options: PlainOptions,
  settings: Settings,
  start: CsvStart,
  stages: RunStages,
  lanes: Lanes,
  buffers: BufferPool,
  lost: Client | null,
): Promise<Summary> {
  const { stateSchema, log } = settings
  const { ioTimeout } = settings
  const connection = { server: options.to, applicationName: 'millrace', ioTimeout }
  const mayBeginAgain = (error: unknown): error is TargetError =>
    isFault(error) &&
    start.source.size !== null &&
    (error instanceof LostChunks || !lanes.isLoading)
  const connecting = reconnect(connection, lost, '', settings.signal)
  const client = await connecting.catch((error: unknown) => {
    throw mayBeginAgain(error) ? new NotBegun(error, null) : error
  })
  let keeper: JobKeeper | null = null
  const deadline = afterAbort(settings.signal, GIVE_UP_MS, () => {
    if (keeper === null) breakConnection(client)
    else keeper.giveUp()
  })
  try {
    await prepareState(client, stateSchema)
    const where = parseTableName(options.table ?? defaultTable(start.source, options))
    const name = await resolveTable(client, where)
    const key = options.job ?? defaultJob(start.source, `${name.schema}.${name.table}`)
    const job = await holdJob(client, stateSchema, key, VERSION)
    lanes.connect({ ...connection, applicationName: laneName(job.run) }, settings.retryFor)
    // Looked up under the job: another run of it may just have created the table.
    const table = await findTable(client, name)
    keeper = new JobKeeper(client, connection, stateSchema, job, settings.retryFor, log)
    const { lanes: count, atomic } = settings
    const tally = new Tally({ id: job.run, job: key, lanes: count, atomic }, start.source.size)
    const onInferred = (bytes: number): void => tally.inferred(bytes)
    const types = options.types ?? {}
    const limits = limitsOf(settings, start)
    const subject = { client, connection, settings, start, job, name, table, types, stages }
    const request = { ...subject, limits, lanes, buffers, onInferred }
    const held = keeper
    return await thenWriteRejects(() => loadHeld(request, held, tally, options.onProgress), {
      output: options.rejects,
      job: key,
      keeper: held,
      settings,
    })
  } catch (thrown) {
    const error = wrapServerError(thrown)
    throw mayBeginAgain(error) ? new NotBegun(error, client) : error
  } finally {
    deadline.dispose()
    if (keeper !== null) await keeper.close()
    else await disconnect(connection, client).catch(() => undefined) // lost already: nothing to end
  }
}

/** Loads a held job, and notes what came of it. */
async function loadHeld(
  request: JobRequest,
  keeper: JobKeeper,
  tally: Tally,
  onProgress: LoadOptions['onProgress'],
): Promise<Summary> {
  const { settings, job, start } = request
  const { stateSchema } = settings
  const ticker = onProgress && new ProgressTicker(() => tally.progress(), onProgress)
  try {
    const status = await runJob(request, keeper, tally)
    await keeper.use((client) => endRun(client, stateSchema, job.run, status, null))
    return tally.summary(status, start.source.name)
  } catch (thrown) {
    const error = wrapServerError(thrown)
    await noteFailure(keeper, job.run, settings, error)
    throw error
  } finally {
    ticker?.stop()
  }
}

/** Prepares a held job and loads what remains of it. */
async function runJob(
  request: JobRequest,
  keeper: JobKeeper,
  tally: Tally,
): Promise<'complete' | 'already-complete'> {
  const { settings, start, job, lanes, buffers } = request
  const { source, engine, data } = start
  const prepared = await prepareJob(request)
  tally.prepared(prepared)
  if (prepared.input.completedAt !== null && source.size !== null) return 'already-complete'

  const { table, staging, fields, mapping, claims } = prepared
  if (mapping.leftOut.length > 0) {
    settings.log.info({ columns: mapping.leftOut }, 'fields left out: the server computes them')
  }
  const scope = {
    stateSchema: settings.stateSchema,
    job: job.id,
    epoch: job.epoch,
    run: job.run,
    input: prepared.input.id,
    unlogged: table.isUnlogged && staging === null,
  }
  const target = copyTarget(prepared)
  const widening = prepared.ownTable && source.size === null && staging?.publication !== 'insert'
  const limits = mapping.names.map((name) => {
    const column = table.columns.find((one) => one.name === name)
    return columnLimits(column?.type ?? 'text', column?.notNull ?? false)
  })
  const { columns } = mapping
  let plan: LoadPlan = { target, fields, columns, limits, scope, widening }
  let current: Table = { ...table, ...target.table }
  const onMisfit: OnMisfit = (epoch, columns) =>
    keeper.use(async (client) => {
      // Another lane's misfit has been dealt with meanwhile; its plan may do for this one too.
      if (epoch < plan.scope.epoch) return plan
      const widened = await widenColumns(client, request, plan, current, staging, columns)
      if (widened === null) return null
      ;({ plan, table: current } = widened)
      return plan
    })
  const recall = request.stages.stages.some(({ keySets }) => (keySets ?? []).length > 0)
  if (recall && claims.length > 0) {
    const bytes = claims.reduce((sum, claim) => sum + claim.end - claim.start, 0)
    settings.log.info({ bytes }, 'stages ask for keys: what is loaded already is read again')
  }
  const cuts = remainingCuts({
    ...{ source, engine, claims, data, buffers, recall },
    limits: request.limits,
  })
  const limit = new RejectLimit(settings.maxErrors, data.byte)
  let end = claims.at(-1)?.end ?? data.byte
  const onLoaded = (loaded: LoadedRange): void => {
    end = Math.max(end, loaded.range.end)
    tally.add(loaded)
    const { range, rejected } = loaded
    limit.add({ start: range.start, end: range.end, read: range.records, rejected })
    settings.log.debug(chunkFields(loaded), 'chunk committed')
  }
  const { id } = prepared.input
  const reasons = (): Promise<RejectReason[]> =>
    keeper.use((client) => rejectReasons(client, settings.stateSchema, id))
  try {
    for (const claim of claims) limit.add(claim)
    await lanes.load(plan, cuts, onLoaded, onMisfit, settings.signal)
    limit.finish()
  } catch (error) {
    const isFenced = error instanceof CheckpointError && error.code === 'CHECKPOINT_FENCED'
    // A chunk is shut out for this as well.
    if (isFenced && scope.unlogged) {
      await keeper.use((client) => requireNoCrash(client, settings.stateSchema, job.id, table))
    }
    if (!(error instanceof RejectError)) throw error
    throw new RejectError(error.message, await reasons(), error)
  }
  if (limit.rejected > 0) tally.rejected(await reasons())
  await source.verify()
  const size = source.size ?? end
  const requireAll = (client: Client): Promise<void> =>
    requireClaims(client, settings.stateSchema, id, size - data.byte)
  await keeper.use(requireAll)
  const nothingNew = prepared.input.completedAt !== null && tally.progress().chunks === 0
  if (!nothingNew) {
    const onFindings = tally.judged.bind(tally)
    await judgeQuality(request, keeper, { input: id, fields: plan.fields, onFindings })
  }
  if (staging === null) {
    await keeper.use(async (client) => {
      if (scope.unlogged) await requireNoCrash(client, settings.stateSchema, job.id, table)
      await requireAll(client)
      await completeInput(client, settings.stateSchema, id, size)
    })
  } else {
    const { epoch } = plan.scope
    const from = data.byte
    await publishJob(request, keeper, { epoch, input: id, from, size, filled: mapping.names })
  }
  return nothingNew ? 'already-complete' : 'complete'
}

/** Where the lanes put rows: into the table, or into its staging table. */
function copyTarget({ table, staging, mapping }: PreparedJob): CopyTarget {
  const name = { schema: table.schema, table: table.table }
  const columns = mapping.names
  if (staging === null) return { table: name, columns }
  const { schema, table: staged, publication, enforces, names } = staging
  const beside = publication === 'insert' && enforces ? name : null
  return { table: { schema, table: staged }, columns, staged: { target: beside, names } }
}

/** A chunk of short records ends earlier: each field costs a lane 8 bytes, however short it is. */
function limitsOf({ chunkSize, maxRecord }: Settings, start: CsvStart): CutLimits {
  const chunkRecords = Math.max(1, Math.floor(MOST_FIELDS / Math.max(1, start.fieldCount)))
  return { chunkSize, chunkRecords, maxRecord }
}

function chunkFields({ range, rows, rejected, outcome, milliseconds }: LoadedRange): object {
  return {
    start: range.start,
    end: range.end,
    rows,
    rejected,
    outcome,
    milliseconds: Math.round(milliseconds),
  }
}

function defaultTable(source: ByteSource, options: PlainOptions): string {
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
