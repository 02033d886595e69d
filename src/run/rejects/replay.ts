import { endRun, type HeldJob, holdJob, laneName } from '../../checkpoint/job.ts'
import { replayCounts, type ReplayCounts } from '../../checkpoint/replays.ts'
import { rejectReasons } from '../../checkpoint/rejects.ts'
import { readInput } from '../../checkpoint/job-state.ts'
import { AbortedError, type RejectReason } from '../../core/errors.ts'
import { type Logger, silentLog } from '../../core/log.ts'
import { StageList } from '../../stage/stage-list.ts'
import type { StageContext } from '../../stage/stage.ts'
import { warnOfAddress } from '../../target/address-warnings.ts'
import { connect, disconnect, type Server } from '../../target/connect.ts'
import { breakConnection } from '../../target/end-client.ts'
import { wrapServerError } from '../../target/server-error.ts'
import { aborted, afterAbort } from '../abort.ts'
import { columnsOf } from '../job/field-types.ts'
import { JobKeeper } from '../job/job-keeper.ts'
import { COMMIT_LATER, LaneConnection, RETRY_FOR_MS } from '../lanes/lane-connection.ts'
import { noteFailure } from '../job/note-failure.ts'
import type { Settings } from '../options.ts'
import { StageConnection } from '../stages/stage-connection.ts'
import { type RunStages, type StageOption, StageSource } from '../stages/stage-source.ts'
import { VERSION } from '../version.ts'
import { withStages } from '../lanes/with-stages.ts'
import { editFormatOf } from './read-edits.ts'
import { prepareReplay, type ReplayPlan } from './prepare-replay.ts'
import { editedBatches, keptBatches } from './replay-batches.ts'
import { ReplayLoader } from './replay-loader.ts'
import { requireJob } from './with-state.ts'

/** What `replayRejects` takes. */
export interface ReplayOptions {
  /** A `postgres://` URL, or a pool of the package `pg`; two connections, and one more where stages ask the database. */
  readonly to: Server
  /** The job whose rejects are loaded again. */
  readonly job: string
  /**
   * An export of rejects, as `.ndjson` or `.csv`, whose records somebody has mended: only what is in it is replayed, with
   * the bytes it has there. By default all rejects of the job are, as they are kept.
   */
  readonly from?: string | undefined
  /** What the rows pass through; must be given, be it an empty list, for a job that had some. */
  readonly stages?: readonly StageOption[] | undefined
  /** Only rejects with this code: an SQLSTATE, or a code of Millrace. */
  readonly reason?: string | undefined
  /** Schema of the checkpoint's tables in the target database; `millrace` by default. */
  readonly stateSchema?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Silent by default. */
  readonly log?: Logger | undefined
}

/** What came of a replay: also what `--json` prints. replayed + refused are all that it has tried. */
export interface ReplaySummary extends ReplayCounts {
  readonly run: number
  readonly job: string
  /** `schema.table` */
  readonly target: string
  readonly seconds: number
  /** Why rows of the job are still rejected: the most common reasons. */
  readonly rejects: readonly RejectReason[]
}

/**
 * Loads the rejects of a job again, as its input was loaded; what is loaded is a reject no more, from the same transaction on.
 *
 * Shape:  resolves when each was tried. A row that is refused again stays, with its new reason. A replay that failed or
 *         was killed leaves what it has committed, and calling it again goes on from there: nothing is loaded twice.
 * Errors: CONFIG_BAD_VALUE for a job, an id or a file that cannot be used; CHECKPOINT_HELD while another run is at work on
 *         the job; as those of load() for stages, columns, table and server. Nothing is left of it then.
 */
export async function replayRejects(options: ReplayOptions): Promise<ReplaySummary> {
  const settings = settingsOf(options)
  const { stateSchema, signal, log } = settings
  if (signal.aborted) throw aborted()
  if (options.from !== undefined) editFormatOf(options.from)
  const stages = await new StageSource(options.stages ?? []).find()
  const connection = { server: options.to, applicationName: 'millrace' }
  await warnOfAddress(options.to, log)
  const client = await connect(connection, '', signal)
  let keeper: JobKeeper | null = null
  const deadline = afterAbort(signal, GIVE_UP_MS, () => {
    if (keeper === null) breakConnection(client)
    else keeper.giveUp()
  })
  try {
    await requireJob(client, stateSchema, options.job)
    const job = await holdJob(client, stateSchema, options.job, VERSION, 'replay')
    keeper = new JobKeeper(client, connection, stateSchema, job, RETRY_FOR_MS, log)
    return await replayHeld({ options, settings, job, keeper, stages })
  } catch (thrown) {
    const error = wrapServerError(thrown)
    throw signal.aborted && !(error instanceof AbortedError) ? aborted(error) : error
  } finally {
    deadline.dispose()
    if (keeper !== null) await keeper.close()
    else await disconnect(connection, client).catch(() => undefined) // lost already: nothing to end
  }
}

/** A stopped replay that still waits for its server gives its connections up after this. */
const GIVE_UP_MS = 8_500

type ReplaySettings = Pick<Settings, 'stateSchema' | 'signal' | 'log'>

function settingsOf({ stateSchema, signal, log }: ReplayOptions): ReplaySettings {
  return {
    stateSchema: stateSchema ?? 'millrace',
    signal: signal ?? new AbortController().signal,
    log: log ?? silentLog,
  }
}

/** A replay that holds its job. */
interface HeldReplay {
  readonly options: ReplayOptions
  readonly settings: ReplaySettings
  readonly job: HeldJob
  readonly keeper: JobKeeper
  readonly stages: RunStages
}

/** Replays, and notes what came of it. */
async function replayHeld(held: HeldReplay): Promise<ReplaySummary> {
  const { options, settings, job, keeper, stages } = held
  const { stateSchema } = settings
  const began = performance.now()
  try {
    const given = options.stages !== undefined
    const plan = await keeper.use((client) =>
      prepareReplay(client, stateSchema, job, stages, given),
    )
    await replayAll(held, plan)
    const { schema, table } = plan.target.table
    return await keeper.use(async (client) => {
      const input = await readInput(client, stateSchema, job)
      const rejects = input === null ? [] : await rejectReasons(client, stateSchema, input.id)
      const counts = await replayCounts(client, stateSchema, job)
      await endRun(client, stateSchema, job.run, 'complete', null)
      const seconds = Math.round(performance.now() - began) / 1000
      const target = `${schema}.${table}`
      return { run: job.run, job: options.job, target, ...counts, seconds, rejects }
    })
  } catch (thrown) {
    const error = wrapServerError(thrown)
    await noteFailure(keeper, job.run, settings, error)
    throw error
  }
}

async function replayAll(held: HeldReplay, plan: ReplayPlan): Promise<void> {
  const { options, settings, job, keeper, stages } = held
  const { stateSchema, signal, log } = settings
  const target = { server: options.to, applicationName: laneName(job.run) }
  const connection = new LaneConnection(target, COMMIT_LATER, RETRY_FOR_MS)
  const queries = new StageConnection(target, RETRY_FOR_MS)
  const deadline = afterAbort(signal, GIVE_UP_MS, () => {
    connection.giveUp()
    queries.giveUp()
  })
  const list = new StageList(stages.stages, columnsOf(plan.fields))
  const context: StageContext = {
    query: (text, values) => queries.query(text, values),
    types: 'final',
  }
  const code = options.reason ?? null
  const loader = new ReplayLoader({ connection, stateSchema, job, code, plan, stages: list, log })
  const batches =
    options.from === undefined
      ? keptBatches(keeper, stateSchema, job, code)
      : editedBatches(keeper, stateSchema, job, options.from)
  try {
    await withStages(list, context, async () => {
      for await (const batch of batches) {
        if (signal.aborted) throw aborted()
        await loader.load(batch.ids, batch.edits)
        log.debug({ rejects: batch.ids.length }, 'rejects replayed')
      }
    })
  } finally {
    deadline.dispose()
    loader.close()
    await Promise.all([connection.close(), queries.close()])
  }
}
