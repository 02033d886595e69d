import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { CheckpointError } from '../core/errors.ts'
import { quoteIdentifier } from '../core/identifier.ts'
import { instantOf, instantSql } from './instant.ts'
import { inTransaction } from './transaction.ts'

/** A job that this run holds. What it loads into and how are unknown (null) until its first run has planned it. */
export interface HeldJob {
  readonly id: number
  readonly run: number
  readonly epoch: number
  readonly target: unknown
  readonly options: unknown
}

/** What a run does with its job: loads its input, or replays its rejects. */
export type RunKind = 'load' | 'replay'

/** A run that looks dead may just be on its way out: its server process still ends. Ask again for this long. */
const PATIENCE_MS = 1000
const ASK_EVERY_MS = 50
/** A holder that was alive this long ago is alive, unless its server process has gone. */
const HEARTBEAT_SECONDS = 30

/**
 * Takes a job for this run: raises its epoch, which shuts out every older run, and notes who holds it.
 *
 * Shape:  a run is alive while the server process of its connection is there and its heartbeat is fresh. A killed run
 *         frees its job at once, since its connection closes; a frozen one after 30 s; neither needs a hand.
 * Errors: CHECKPOINT_HELD when another run is alive.
 */
export async function holdJob(
  client: Client,
  stateSchema: string,
  key: string,
  version: string,
  kind: RunKind = 'load',
): Promise<HeldJob> {
  const schema = quoteIdentifier(stateSchema)
  const deadline = Date.now() + PATIENCE_MS
  let holder = await liveHolder(client, schema, key)
  while (holder !== null && Date.now() < deadline) {
    await sleep(ASK_EVERY_MS)
    holder = await liveHolder(client, schema, key)
  }
  if (holder !== null) throw heldError(key, holder)

  await client.query(`insert into ${schema}.job (key) values ($1) on conflict (key) do nothing`, [
    key,
  ])
  await endOlderRuns(client, schema, key)
  return inTransaction(client, async () => {
    // Waits for the chunks in flight of an older run: they hold a share lock on this row.
    const job = await client.query<JobRow>(
      `update ${schema}.job set epoch = epoch + 1 where key = $1 returning id, epoch, target, options`,
      [key],
    )
    const other = await liveHolder(client, schema, key)
    if (other !== null) throw heldError(key, other)
    const row = job.rows[0]!
    await client.query(
      `update ${schema}.run set status = 'killed', ended_at = heartbeat_at where job = $1 and status = 'running'`,
      [row.id],
    )
    const run = await client.query<{ id: string }>(
      `insert into ${schema}.run (job, epoch, backend, backend_start, millrace, kind)
       select $1, $2, pid, backend_start, $3, $4 from pg_stat_activity where pid = pg_backend_pid() returning id`,
      [row.id, row.epoch, version, kind],
    )
    return {
      id: Number(row.id),
      run: Number(run.rows[0]!.id),
      epoch: Number(row.epoch),
      target: row.target,
      options: row.options,
    }
  })
}

/** What a lane of a run is called in pg_stat_activity. */
export function laneName(run: number): string {
  return `millrace lane of run ${String(run)}`
}

/**
 * Ends the connections that runs thought dead have left: those of a frozen one would hold this run up for as long as a
 * chunk of theirs is open. Their chunks are rolled back.
 */
async function endOlderRuns(client: Client, schema: string, key: string): Promise<void> {
  const runs = await client.query<{ id: string }>(
    `select run.id from ${schema}.run join ${schema}.job on job.id = run.job
      where job.key = $1 and run.status = 'running'`,
    [key],
  )
  await endConnections(
    client,
    runs.rows.map(({ id }) => Number(id)),
  )
}

/** Ends the connections of the lanes of some runs, whatever they do. */
export async function endConnections(client: Client, runs: readonly number[]): Promise<void> {
  await client.query(
    `select pg_catalog.pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and usename = current_user and application_name = any($1)`,
    [runs.map(laneName)],
  )
}

interface JobRow {
  id: string
  epoch: string
  target: unknown
  options: unknown
}

/** When the live holder of a job started, or null. */
async function liveHolder(client: Client, schema: string, key: string): Promise<Date | null> {
  const result = await client.query<{ started_at: string }>(
    `select ${instantSql('run.started_at')} as started_at from ${schema}.run join ${schema}.job on job.id = run.job
       join pg_stat_activity a on a.pid = run.backend and a.backend_start = run.backend_start
      where job.key = $1 and run.status = 'running'
        and run.heartbeat_at > clock_timestamp() - pg_catalog.make_interval(secs => $2)`,
    [key, HEARTBEAT_SECONDS],
  )
  const row = result.rows[0]
  return row === undefined ? null : instantOf(row.started_at)
}

function heldError(key: string, since: Date): CheckpointError {
  const message = `another run has been at work on this job since ${since.toISOString()}: ${key}`
  return new CheckpointError('CHECKPOINT_HELD', message, {
    hint: 'wait for it to end, or give this load a job of its own with --job',
  })
}

/** Whether there is a job of a name. */
export async function jobExists(
  client: Client,
  stateSchema: string,
  key: string,
): Promise<boolean> {
  const schema = quoteIdentifier(stateSchema)
  const found = await client.query(`select from ${schema}.job where key = $1`, [key])
  return found.rowCount === 1
}

export type RunStatus = 'complete' | 'already-complete' | 'failed' | 'interrupted'

/** Says that the run is alive. */
export async function beat(client: Client, stateSchema: string, run: number): Promise<void> {
  const schema = quoteIdentifier(stateSchema)
  await client.query(
    `update ${schema}.run set heartbeat_at = clock_timestamp() where id = $1 and status = 'running'`,
    [run],
  )
}

/**
 * Shows that a run goes on over another connection.
 *
 * Errors: CHECKPOINT_FENCED when a newer run has taken its job over.
 */
export async function reattach(client: Client, stateSchema: string, job: HeldJob): Promise<void> {
  const schema = quoteIdentifier(stateSchema)
  const result = await client.query(
    `update ${schema}.run
        set backend = a.pid, backend_start = a.backend_start, heartbeat_at = clock_timestamp()
       from pg_stat_activity a, ${schema}.job
      where run.id = $1 and job.id = run.job and job.epoch = run.epoch and a.pid = pg_backend_pid()`,
    [job.run],
  )
  if (result.rowCount === 0) throw fencedError()
}

/**
 * Raises the epoch of a job that this run holds, in the caller's transaction: waits for the chunks in flight, and shuts
 * out what was prepared under the old one. Returns the new epoch.
 *
 * Errors: CHECKPOINT_FENCED when a newer run has taken the job over.
 */
export async function raiseEpoch(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  epoch: number,
): Promise<number> {
  const schema = quoteIdentifier(stateSchema)
  const raised = await client.query(
    `update ${schema}.job set epoch = epoch + 1 where id = $1 and epoch = $2`,
    [job.id, epoch],
  )
  if (raised.rowCount === 0) return raisedBefore(client, schema, job, epoch)
  await client.query(`update ${schema}.run set epoch = $2 where id = $1`, [job.run, epoch + 1])
  return epoch + 1
}

/** The epoch to which this run has raised its job already: the answer to its COMMIT was lost. */
async function raisedBefore(
  client: Client,
  schema: string,
  job: HeldJob,
  epoch: number,
): Promise<number> {
  const found = await client.query<{ epoch: string }>(
    `select run.epoch from ${schema}.run join ${schema}.job on job.id = run.job and job.epoch = run.epoch
      where run.id = $1 and run.epoch > $2`,
    [job.run, epoch],
  )
  const raised = found.rows[0]
  if (raised === undefined) throw fencedError()
  return Number(raised.epoch)
}

/** The refusal of what an older run still wants to do. */
export function fencedError(): CheckpointError {
  return new CheckpointError('CHECKPOINT_FENCED', 'another run has taken this job over', {
    hint: 'nothing is lost: what this run had committed is kept, the other one goes on from there',
  })
}

/** Ends the run, whatever came of it, and frees the job. */
export async function endRun(
  client: Client,
  stateSchema: string,
  run: number,
  status: RunStatus,
  error: string | null,
): Promise<void> {
  const schema = quoteIdentifier(stateSchema)
  await client.query(
    `update ${schema}.run set status = $2, error = $3, ended_at = clock_timestamp() where id = $1`,
    [run, status, error],
  )
}
