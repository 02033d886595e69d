import type { Client } from 'pg'
import { quoteIdentifier } from '../core/identifier.ts'
import type { InputIdentity } from '../source/bytes/byte-source.ts'
import { instantOf, instantSql } from './instant.ts'
import { fencedError, type HeldJob } from './job.ts'

/** The table a job loads into, as it was when the job began. */
export interface JobTarget {
  readonly schema: string
  readonly table: string
  readonly oid: number
  readonly fileNode: number
  /** `name type`, for each column. */
  readonly columns: readonly string[]
  /** Whether the job has created the table. */
  readonly created: boolean
  /** A crash of the server empties it. */
  readonly unlogged?: boolean
  /** Where the rows are until they are published; only for a job that publishes, and while it has rows to publish. */
  readonly staging?: JobStaging
  /** Rows that were published before. */
  readonly published?: number
}

/** The table in which rows wait until all of them are published. */
export interface JobStaging {
  readonly schema: string
  readonly table: string
  readonly oid: number
  readonly fileNode: number
  /** How its rows come into the target: it becomes the target, or they are inserted into it. */
  readonly publication: 'rename' | 'insert'
  /** Whether it refuses what the target refuses. */
  readonly enforces: boolean
  /** What it and its constraints are called at the target, by the names they have here. */
  readonly names: Readonly<Record<string, string>>
}

/** What decides which rows come out of the input: a run with other options must not go on with the job. */
export interface JobOptions {
  readonly mode: 'append'
  /** Whether all rows are published at once; left out where they are not. */
  readonly atomic?: boolean
  readonly dialect: Readonly<Record<string, unknown>>
  /** The fields of the input, and their names where it has any; for replays. */
  readonly fields?: { readonly count: number; readonly names: readonly string[] | null }
  /** The columns filled, and from which field or stage. */
  readonly columns: readonly string[]
  /** The stages, one line each; none for a job without. */
  readonly stages?: readonly string[]
  /** The types by which the stages see the fields; only where there are stages. */
  readonly fieldTypes?: readonly string[]
}

/** An input as the checkpoint remembers it. */
export interface JobInput {
  readonly id: number
  readonly identity: StoredIdentity
  readonly size: number | null
  readonly completedAt: Date | null
}

/** With the CRC-32 of the input from a byte on, where a run has read it all before it loaded. */
export type StoredIdentity = Partial<InputIdentity> & {
  readonly whole?: { readonly from: number; readonly crc32: number }
}

/** Notes what a job loads into and how; in the transaction that creates its table. */
export async function describeJob(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  target: JobTarget,
  options: JobOptions,
): Promise<void> {
  await client.query(
    `update ${quoteIdentifier(stateSchema)}.job set target = $2, options = $3 where id = $1`,
    [job.id, JSON.stringify(target), JSON.stringify(options)],
  )
}

/** Notes an input of a job; returns its id. */
export async function addInput(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  path: string,
  identity: StoredIdentity,
  size: number | null,
): Promise<number> {
  const result = await client.query<{ id: string }>(
    `insert into ${quoteIdentifier(stateSchema)}.input (job, path, identity, size)
     values ($1, $2, $3, $4) returning id`,
    [job.id, path, JSON.stringify(identity), size],
  )
  return Number(result.rows[0]!.id)
}

/** The inputs of a job. */
export async function readInput(
  client: Client,
  stateSchema: string,
  job: HeldJob,
): Promise<JobInput | null> {
  const result = await client.query<InputRow>(
    `select id, identity, size, ${instantSql('completed_at')} as completed_at
       from ${quoteIdentifier(stateSchema)}.input where job = $1`,
    [job.id],
  )
  const row = result.rows[0]
  if (row === undefined) return null
  return {
    id: Number(row.id),
    identity: row.identity,
    size: row.size === null ? null : Number(row.size),
    completedAt: row.completed_at === null ? null : instantOf(row.completed_at),
  }
}

interface InputRow {
  id: string
  identity: StoredIdentity
  size: string | null
  completed_at: string | null
}

/** Notes that an input has changed in a way that is allowed: grown, or only touched. */
export async function updateInput(
  client: Client,
  stateSchema: string,
  input: number,
  identity: StoredIdentity,
  size: number | null,
): Promise<void> {
  await client.query(
    `update ${quoteIdentifier(stateSchema)}.input
        set identity = $2, size = $3,
            completed_at = case when size is distinct from $3 then null else completed_at end
      where id = $1`,
    [input, JSON.stringify(identity), size],
  )
}

/** Notes that an input is loaded to its end. */
export async function completeInput(
  client: Client,
  stateSchema: string,
  input: number,
  size: number,
): Promise<void> {
  await client.query(
    `update ${quoteIdentifier(stateSchema)}.input set completed_at = clock_timestamp(), size = $2
      where id = $1`,
    [input, size],
  )
}

/**
 * Locks a job for the transaction that publishes its rows; returns what it loads into.
 *
 * Errors: CHECKPOINT_FENCED when a newer run has taken the job over.
 */
export async function lockJob(
  client: Client,
  stateSchema: string,
  job: number,
  epoch: number,
): Promise<JobTarget> {
  const found = await client.query<{ target: JobTarget }>(
    `select target from ${quoteIdentifier(stateSchema)}.job where id = $1 and epoch = $2 for update`,
    [job, epoch],
  )
  const row = found.rows[0]
  if (row === undefined) throw fencedError()
  return row.target
}

/** Notes what has become of the table that a job loads into. */
export async function updateTarget(
  client: Client,
  stateSchema: string,
  job: number,
  target: JobTarget,
): Promise<void> {
  await client.query(`update ${quoteIdentifier(stateSchema)}.job set target = $2 where id = $1`, [
    job,
    JSON.stringify(target),
  ])
}

/** Forgets what a job has loaded and how; its rows stay in the table. */
export async function forgetJob(client: Client, stateSchema: string, job: HeldJob): Promise<void> {
  const schema = quoteIdentifier(stateSchema)
  await client.query(`delete from ${schema}.input where job = $1`, [job.id])
  await client.query(`delete from ${schema}.crash_mark where job = $1`, [job.id])
  await client.query(`update ${schema}.job set target = null, options = null where id = $1`, [
    job.id,
  ])
}
