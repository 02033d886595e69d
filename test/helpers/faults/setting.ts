import type { FaultProxy } from './proxy.ts'
import type { OwnServer } from './own-server.ts'
import { type Loader, said, type Subject } from './subject.ts'

/** Where a round of a scenario takes place. */
export interface Setting {
  readonly subject: Subject
  /** A way to the server of the subject. */
  readonly proxy: FaultProxy
  /** The server, where it may be ended. */
  readonly server: OwnServer | null
  readonly round: number
  /** A name for the job that is new in each round. */
  readonly job: string
}

/**
 * Disturbs the loads of a job, and tells what is wrong in the end; nothing when every good row is in the table once, every bad
 * row among the rejects once, and nothing left on the server.
 */
export type Scenario = (setting: Setting) => Promise<readonly string[]>

/** A load that is disturbed is to come to its end by itself. */
export async function endsWell({ subject, job }: Setting, loader: Loader): Promise<string[]> {
  const run = await loader.ended
  const problems = await subject.problems(job)
  return run.code === 0 ? problems : [`it ended with ${said(run)}`, ...problems]
}

/** The connections of loaders. */
export const LOADERS = `application_name like 'millrace%' and datname = current_database()`
