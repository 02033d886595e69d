import type { Client } from 'pg'
import { jobExists } from '../../checkpoint/job.ts'
import { exists, prepareState } from '../../checkpoint/schema.ts'
import { ConfigError } from '../../core/errors.ts'
import { connect, disconnect, type Server } from '../../target/connect.ts'
import { wrapServerError } from '../../target/server-error.ts'

/** Where the state of jobs is asked for. */
export interface StateOptions {
  readonly to: Server
  readonly stateSchema: string
  /** A job that must be there. */
  readonly job?: string | undefined
}

/**
 * Works with what is kept of jobs, over a connection of its own.
 *
 * Errors: CONFIG_BAD_VALUE for a job that is not there; what the work throws.
 */
export async function withState<T>(
  { to, stateSchema, job }: StateOptions,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const connection = { server: to, applicationName: 'millrace rejects' }
  const client = await connect(connection)
  try {
    await requireJob(client, stateSchema, job)
    return await work(client)
  } catch (error) {
    throw wrapServerError(error)
  } finally {
    await disconnect(connection, client).catch(() => undefined) // lost already: nothing to end
  }
}

/** Brings the state schema to this version, and refuses a job that is not in it. Errors: CONFIG_BAD_VALUE. */
export async function requireJob(
  client: Client,
  stateSchema: string,
  job: string | undefined,
): Promise<void> {
  const isThere = await exists(client, stateSchema)
  if (isThere) await prepareState(client, stateSchema)
  if (isThere && (job === undefined || (await jobExists(client, stateSchema, job)))) return
  const message =
    job === undefined
      ? `there is no schema ${stateSchema} with jobs in this database`
      : `there is no job ${JSON.stringify(job)}`
  throw new ConfigError('CONFIG_BAD_VALUE', message, { hint: '`millrace status` shows the jobs' })
}
