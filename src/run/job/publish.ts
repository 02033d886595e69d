import type { Client } from 'pg'
import { readClaims } from '../../checkpoint/claims.ts'
import { endConnections, laneName } from '../../checkpoint/job.ts'
import {
  completeInput,
  type JobStaging,
  type JobTarget,
  lockJob,
  updateTarget,
} from '../../checkpoint/job-state.ts'
import { setCrashMark } from '../../checkpoint/crash-mark.ts'
import { requireSameTarget, targetChanged } from '../../checkpoint/refusals.ts'
import { inTransaction } from '../../checkpoint/transaction.ts'
import { TargetError } from '../../core/errors.ts'
import { findTable } from '../../target/catalog.ts'
import { isAboutRow } from '../../target/careful-chunk.ts'
import { jobTarget } from '../../target/job-table.ts'
import { isFault, wrapServerError } from '../../target/server-error.ts'
import { dropStaging, insertStaged, showTable } from '../../target/staging.ts'
import { aborted } from '../abort.ts'
import type { JobKeeper } from './job-keeper.ts'
import { LaneConnection } from '../lanes/lane-connection.ts'
import { LostChunks, requireClaims } from './lost-chunks.ts'
import type { JobRequest } from './prepare-job.ts'
import { takenPlace } from './staged-job.ts'

/** What is published. */
export interface Publication {
  readonly epoch: number
  readonly input: number
  /** Its first byte of data. */
  readonly from: number
  /** Bytes of the input, which is complete with it. */
  readonly size: number
  /** Columns that were loaded. */
  readonly filled: readonly string[]
}

/**
 * Makes the rows of a job visible, all in one transaction, which also drops the staging table and completes the input.
 *
 * Shape:  a connection of its own, for the run's goes on to show that it is alive. It is named as a lane's: a newer run ends
 *         it. After a fault what the job says tells whether the transaction was committed.
 * Errors: CHECKPOINT_FENCED; CHECKPOINT_TARGET_CHANGED; TARGET_REFUSED when the target refuses a row; RUN_ABORTED. Nothing is
 *         published then, and the staging table stays.
 */
export async function publishJob(
  request: JobRequest,
  keeper: JobKeeper,
  publication: Publication,
): Promise<void> {
  const { settings, job } = request
  const { signal, log } = settings
  const target = { ...request.connection, applicationName: laneName(job.run) }
  if (signal.aborted) throw aborted()
  const connection = new LaneConnection(target, '', settings.retryFor)
  const stop = (): void => {
    connection.giveUp()
    // The server would notice behind a statement that may take long. Where it is gone, there is nothing to end.
    keeper.use((client) => endConnections(client, [job.run])).catch(() => undefined)
  }
  signal.addEventListener('abort', stop)
  const began = performance.now()
  log.info({ table: `${request.name.schema}.${request.name.table}` }, 'all is staged: publishing')
  try {
    let client = await firstClient(connection)
    for (;;) {
      const fault = await tryPublish(client, request, publication)
      if (fault === null) break
      if (connection.isGivenUp) throw fault
      const level = connection.isFirstFault ? 'warn' : 'debug'
      log[level]({ reason: fault.message }, 'the publication was held up, trying again')
      client = await connection.reopen(fault)
    }
    log.info({ milliseconds: Math.round(performance.now() - began) }, 'published')
  } finally {
    signal.removeEventListener('abort', stop)
    await connection.close()
  }
}

async function firstClient(connection: LaneConnection): Promise<Client> {
  try {
    return await connection.client
  } catch (error) {
    if (!isFault(error)) throw error
    return connection.reopen(error)
  }
}

/** The fault that may pass, null when the rows are published. */
async function tryPublish(
  client: Client,
  request: JobRequest,
  publication: Publication,
): Promise<Error | null> {
  try {
    await inTransaction(client, () => publish(client, request, publication))
    return null
  } catch (thrown) {
    const error = wrapServerError(thrown)
    if (isFault(error) && !(error instanceof LostChunks)) return error
    throw refusal(error, request)
  }
}

async function publish(
  client: Client,
  { settings, job, name }: JobRequest,
  { epoch, input, from, size, filled }: Publication,
): Promise<void> {
  const { stateSchema } = settings
  const target = await lockJob(client, stateSchema, job.id, epoch)
  if (target.staging === undefined) return // it was committed before the connection was lost
  const claims = await readClaims(client, stateSchema, input)
  await requireClaims(client, stateSchema, input, size - from)
  const loaded = claims.reduce((sum, claim) => sum + claim.loaded, 0)
  const rows = loaded - (target.published ?? 0)
  const { staging, ...rest } = target
  if (staging.publication === 'rename') {
    if ((await findTable(client, name)) !== null) throw takenPlace(name)
    await showTable(client, staging, name)
  } else await insertRows(client, rest, staging, filled, rows)
  const table = (await findTable(client, name))!
  const published = { ...jobTarget(table, target.created), published: loaded }
  await updateTarget(client, stateSchema, job.id, published)
  if (table.isUnlogged) await setCrashMark(client, stateSchema, job.id)
  await completeInput(client, stateSchema, input, size)
}

async function insertRows(
  client: Client,
  before: JobTarget,
  staging: JobStaging,
  filled: readonly string[],
  rows: number,
): Promise<void> {
  const target = await findTable(client, before)
  requireSameTarget(before, target && jobTarget(target, before.created))
  if (target === null) return
  if (rows > 0) await insertStaged(client, { name: staging, target, filled }, rows)
  // Once more: from the INSERT on nobody else can change the table.
  const now = await findTable(client, before)
  requireSameTarget(before, now && jobTarget(now, before.created))
  await dropStaging(client, staging)
}

/** What is said of the table when it is not there any more, or other columns are. */
const CHANGED = new Set(['42P01', '42703', '42804', '42P07'])

/** The error for what was not published, with what to do about it. */
function refusal(error: Error, { name }: JobRequest): Error {
  if (!(error instanceof TargetError)) return error
  const { server, message } = error
  if (CHANGED.has(server.sqlstate ?? '')) {
    return targetChanged(`${name.schema}.${name.table} was changed: the server says: ${message}`)
  }
  if (!isAboutRow(error)) return error
  return new TargetError('TARGET_REFUSED', `nothing was published: the server says: ${message}`, {
    server,
    cause: error,
    hint: 'all rows are staged; one is against a row that came, or went, since it was, or a trigger refuses it. Change that in the database and run the same command again, which publishes; or begin anew with --restart, which rejects rows that are against those in the table',
  })
}
