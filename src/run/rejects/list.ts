import { rejectGroups, type RejectGroup } from '../../checkpoint/kept-rejects.ts'
import type { Server } from '../../target/connect.ts'
import { withState } from './with-state.ts'

export interface ListRejectsOptions {
  /** A `postgres://` URL, or a pool of the package `pg`. */
  readonly to: Server
  /** The rejects of one job; all by default. */
  readonly job?: string | undefined
  /** Only rejects with this code: an SQLSTATE, or a code of Millrace. */
  readonly reason?: string | undefined
  /** Schema of the checkpoint's tables in the target database; `millrace` by default. */
  readonly stateSchema?: string | undefined
}

/**
 * Tells for which reasons rows are kept out of their tables, with the first of each; without those that were replayed.
 *
 * Errors: CONFIG_BAD_VALUE for a job that is not there.
 */
export function listRejects(options: ListRejectsOptions): Promise<RejectGroup[]> {
  const { to, job, reason, stateSchema = 'millrace' } = options
  return withState({ to, stateSchema, job }, (client) =>
    rejectGroups(client, stateSchema, { job: job ?? null, code: reason ?? null }),
  )
}
