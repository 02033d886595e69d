import { type JobStatus, readStatus } from '../checkpoint/status.ts'
import { connect } from '../target/connect.ts'
import { wrapServerError } from '../target/server-error.ts'

export interface StatusOptions {
  readonly to: string
  /** One job; all by default. */
  readonly job?: string | undefined
  readonly stateSchema?: string | undefined
}

/** Tells the jobs of a database, their last runs, and what remains. */
export async function status(options: StatusOptions): Promise<JobStatus[]> {
  const client = await connect({ url: options.to, applicationName: 'millrace status' })
  try {
    return await readStatus(client, options.stateSchema ?? 'millrace', options.job ?? null)
  } catch (error) {
    throw wrapServerError(error)
  } finally {
    await client.end()
  }
}
