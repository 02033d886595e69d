import { type JobStatus, readStatus } from '../checkpoint/status.ts'
import { connect, disconnect, type Server } from '../target/connect.ts'
import { wrapServerError } from '../target/server-error.ts'

export interface StatusOptions {
  /** A `postgres://` URL, or a pool of the package `pg`. */
  readonly to: Server
  /** One job; all by default. */
  readonly job?: string | undefined
  readonly stateSchema?: string | undefined
}

/** Tells the jobs of a database, their last runs, and what remains. */
export async function status(options: StatusOptions): Promise<JobStatus[]> {
  const connection = { server: options.to, applicationName: 'millrace status' }
  const client = await connect(connection)
  try {
    return await readStatus(client, options.stateSchema ?? 'millrace', options.job ?? null)
  } catch (error) {
    throw wrapServerError(error)
  } finally {
    await disconnect(connection, client)
  }
}
