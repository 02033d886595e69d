import type { Client } from 'pg'
import type { JobStaging, JobTarget } from '../../checkpoint/job-state.ts'
import { requireSameTarget, targetChanged } from '../../checkpoint/refusals.ts'
import { findTable, type Table } from '../../target/catalog.ts'
import { jobTarget, requireLoadedRows } from '../../target/job-table.ts'
import { createStaging, hideTable } from '../../target/staging.ts'
import type { Mapping } from './mapping.ts'
import type { JobRequest } from './prepare-job.ts'

/** Makes the staging table of a job, in the caller's transaction. */
export async function stageJob(
  { client, settings, job }: JobRequest,
  target: Table,
  { names }: Mapping,
  created: boolean,
): Promise<JobStaging> {
  const name = { schema: settings.stateSchema, table: `staging_${String(job.id)}` }
  if (created) return hideTable(client, name, target)
  const staging = await createStaging(client, { name, target, filled: names })
  if (!staging.enforces) {
    settings.log.warn(
      { table: `${target.schema}.${target.table}` },
      'triggers of the table may change rows before they are inserted: what its constraints say of them is known when all are published, and one that they refuse keeps all out',
    )
  }
  return staging
}

/** What a job that rows are staged for loads into, as its job remembers it. */
export function stagedTarget(target: Table, created: boolean, staging: JobStaging): JobTarget {
  return { ...jobTarget(target, created), staging }
}

/**
 * Finds the table of a job that is gone on with: it is hidden until it is published, where the job creates it.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED when it, or the staging table, is not what it was.
 */
export async function tableAgain(
  { client, name, table }: JobRequest,
  before: JobTarget,
): Promise<Table | null> {
  const { staging, created } = before
  const staged = staging === undefined ? null : await requireStaging(client, staging)
  const isHidden = staging?.publication === 'rename'
  const now = isHidden && staged !== null ? { ...staged, ...name } : table
  requireSameTarget(before, now === null ? null : jobTarget(now, created))
  if (isHidden && table !== null) throw takenPlace(table)
  return now
}

async function requireStaging(client: Client, staging: JobStaging): Promise<Table> {
  const staged = await findTable(client, staging)
  if (staged?.oid === staging.oid) return staged
  throw targetChanged(`the staging table ${staging.schema}.${staging.table} is gone`)
}

/** The refusal of a name that somebody else has taken before the job's own table was published. */
export function takenPlace({ schema, table }: { schema: string; table: string }): Error {
  return targetChanged(
    `${schema}.${table} was created by somebody else, and the rows of this job are not published yet`,
  )
}

/**
 * Refuses to go on when rows that the checkpoint knows are gone: from the staging table, or from the table.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED.
 */
export async function requireRows(
  client: Client,
  before: JobTarget,
  table: Table,
  loaded: number,
  replayed: number,
): Promise<void> {
  const { staging, published = 0 } = before
  if (staging === undefined) return requireLoadedRows(client, before, table, loaded + replayed)
  const staged = await requireStaging(client, staging)
  await requireLoadedRows(client, staging, staged, loaded - published)
  const placed = published + replayed
  if (placed > 0) await requireLoadedRows(client, before, table, placed)
}
