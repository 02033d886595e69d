import { type JobStatus, readStatus } from '../checkpoint/status.ts'
import { type Logger, silentLog } from '../core/log.ts'
import { warnOfAddress } from '../target/address-warnings.ts'
import { connect, disconnect, type Server } from '../target/connect.ts'
import { wrapServerError } from '../target/server-error.ts'

export interface StatusOptions {
  /** A `postgres://` URL, or a pool of the package `pg`. */
  readonly to: Server
  /** One job; all by default. */
  readonly job?: string | undefined
  readonly stateSchema?: string | undefined
  /** Silent by default. */
  readonly log?: Logger | undefined
}

/** Tells the jobs of a database, their last runs, and what remains. */
export async function status(options: StatusOptions): Promise<JobStatus[]> {
  const connection = { server: options.to, applicationName: 'millrace status' }
  await warnOfAddress(options.to, options.log ?? silentLog)
  const client = await connect(connection)
  try {
    return await readStatus(client, options.stateSchema ?? 'millrace', options.job ?? null)
  } catch (error) {
    throw wrapServerError(error)
  } finally {
    await disconnect(connection, client)
  }
}
