import type { Client } from 'pg'
import { quoteIdentifier } from '../core/identifier.ts'
import { instantOf, instantSql } from './instant.ts'
import { exists, prepareState } from './schema.ts'

/** A job, the last run that has loaded, and what remains of it. */
export interface JobStatus {
  readonly job: string
  readonly target: string | null
  /** The table in which its rows wait until they are published all at once; null where there is none, or none any more. */
  readonly staging: string | null
  /** Of the last run; 'killed' when it ended without a word. */
  readonly status: string
  /** Rows that were loaded, by replays too. */
  readonly rows: number
  /** Rows that are kept out of the table. */
  readonly rejects: number
  /** Rejects that were replayed since. */
  readonly replayed: number
  readonly bytesLoaded: number
  /** Null for a stream that was never read to its end. */
  readonly bytesTotal: number | null
  readonly chunks: number
  readonly runs: number
  readonly startedAt: string
  readonly endedAt: string | null
  readonly error: string | null
}

/** The jobs of a database, the latest first; none where Millrace was never used. */
export async function readStatus(
  client: Client,
  stateSchema: string,
  job: string | null,
): Promise<JobStatus[]> {
  if (!(await exists(client, stateSchema))) return []
  await prepareState(client, stateSchema)
  const result = await client.query<StatusRow>(statusSql(quoteIdentifier(stateSchema)), [job])
  return result.rows.map((row) => ({
    job: row.job,
    target: row.target,
    staging: row.staging,
    status: row.status,
    rows: Number(row.rows),
    rejects: Number(row.rejects),
    replayed: Number(row.replayed),
    bytesLoaded: Number(row.bytes),
    bytesTotal: row.size === null ? null : Number(row.size),
    chunks: Number(row.chunks),
    runs: Number(row.runs),
    startedAt: instantOf(row.started_at).toISOString(),
    endedAt: row.ended_at === null ? null : instantOf(row.ended_at).toISOString(),
    error: row.error,
  }))
}

interface StatusRow {
  job: string
  target: string | null
  staging: string | null
  status: string
  rows: string
  rejects: string
  replayed: string
  bytes: string
  size: string | null
  chunks: string
  runs: string
  started_at: string
  ended_at: string | null
  error: string | null
}

function statusSql(schema: string): string {
  return `
  select job.key as job, (job.target->>'schema') || '.' || (job.target->>'table') as target,
         (job.target->'staging'->>'schema') || '.' || (job.target->'staging'->>'table') as staging,
         case when run.status = 'running' and not exists (
                select from pg_stat_activity a
                 where a.pid = run.backend and a.backend_start = run.backend_start)
              then 'killed' else run.status end as status,
         c.rows + k.rows as rows, k.rejects, k.replayed, c.bytes, c.chunks, i.size, r.runs, run.error,
         ${instantSql('run.started_at')} as started_at, ${instantSql('run.ended_at')} as ended_at
    from ${schema}.job
    join lateral (select * from ${schema}.run where run.job = job.id and kind = 'load' order by id desc limit 1) run on true
    join lateral (select count(*) as runs from ${schema}.run where run.job = job.id and kind = 'load') r on true
    left join lateral (select sum(size) as size from ${schema}.input where input.job = job.id) i on true
    join lateral (select coalesce(sum(loaded), 0) as rows, coalesce(sum(end_byte - start_byte), 0) as bytes,
                         count(*) as chunks
                    from ${schema}.claim where claim.job = job.id) c on true
    join lateral (select count(*) filter (where replayed_at is null) as rejects,
                         count(*) filter (where replayed_at is not null) as replayed,
                         coalesce(sum(replayed_rows), 0) as rows
                    from ${schema}.reject where reject.job = job.id) k on true
   where $1::text is null or job.key = $1
   order by run.id desc`
}
