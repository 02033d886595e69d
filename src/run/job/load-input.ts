import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import { endRun, holdJob, laneName } from '../../checkpoint/job.ts'
import { prepareState } from '../../checkpoint/schema.ts'
import { AbortedError, ConfigError, type TargetError } from '../../core/errors.ts'
import { parseTableName } from '../../core/identifier.ts'
import type { ByteSource } from '../../source/bytes/byte-source.ts'
import type { CutLimits } from '../../source/csv/cut.ts'
import { findTable } from '../../target/catalog.ts'
import { disconnect, reconnect } from '../../target/connect.ts'
import { breakConnection } from '../../target/end-client.ts'
import { isFault, wrapServerError } from '../../target/server-error.ts'
import { BufferPool } from '../lanes/buffer-pool.ts'
import { aborted, afterAbort } from '../abort.ts'
import { type CsvStart, readStart } from '../input/header.ts'
import { lanePlace } from '../lanes/lane-handle.ts'
import { Lanes, RANGES_PER_LANE } from '../lanes/lanes.ts'
import { JobKeeper } from './job-keeper.ts'
import { LostChunks } from './lost-chunks.ts'
import { missingSummary, openUnlessMissing } from '../input/missing-input.ts'
import { noteFailure } from './note-failure.ts'
import { type LoadOptions, type PlainOptions, type Settings } from '../options.ts'
import { resolveTable, tableNameOf } from './plan.ts'
import { type JobRequest } from './prepare-job.ts'
import { ProgressTicker } from '../progress.ts'
import { fateOfRejects } from './reject-limit.ts'
import { thenWriteRejects } from '../rejects/after-load.ts'
import { type RunStages, StageSource } from '../stages/stage-source.ts'
import type { Summary } from '../summary.ts'
import { Tally } from '../tally.ts'
import { VERSION } from '../version.ts'
import { runJob } from './run-job.ts'

/** A stopped run that still waits for its server gives its connection up after this; the lanes have less. */
const GIVE_UP_MS = 8_500
/** Fields of a chunk, about: 8 MiB of offsets. An 8 MiB chunk of lineitem has as many. */
const MOST_FIELDS = 1 << 20

/** A fault came before anything was loaded, or what was loaded is lost; and the input can be read from its start again. */
export class NotBegun extends Error {
  readonly fault: TargetError
  /** The connection that the job was to be held over. The server may not have noticed that it is lost. */
  readonly lost: Client | null
  constructor(fault: TargetError, lost: Client | null) {
    super(fault.message, { cause: fault })
    this.fault = fault
    this.lost = lost
  }
}

/** Loads an input, from its start or from where its job stands. Errors: NotBegun where it may be begun again. */
export async function loadInput(
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

/** A chunk of short records ends earlier: each field costs a lane 8 bytes, however short it is. */
function limitsOf({ chunkSize, maxRecord }: Settings, start: CsvStart): CutLimits {
  const chunkRecords = Math.max(1, Math.floor(MOST_FIELDS / Math.max(1, start.fieldCount)))
  return { chunkSize, chunkRecords, maxRecord }
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
