import type { Client } from 'pg'
import { quoteIdentifier } from '../core/identifier.ts'
import { fencedError, type HeldJob } from './job.ts'
import { MOST_REJECTS } from './kept-rejects.ts'
import { partText, type Reject } from './rejects.ts'

/** Why a kept row was refused again. */
export type Refused = Pick<
  Reject,
  'part' | 'column' | 'code' | 'constraint' | 'message' | 'stage'
> & {
  /** Of the reject. */
  readonly id: number
}

/** What has come of rejects that were replayed together. */
export interface Replayed {
  /** Those that are dealt with, and how many rows of each were loaded: 0 where stages have left it out. */
  readonly done: readonly { readonly id: number; readonly rows: number }[]
  /** Those that stay, each with its new reason. */
  readonly refused: readonly Refused[]
  /** Rows of a record, `id` is its reject, that are refused beside others: new rejects. */
  readonly added: readonly Refused[]
}

/** Where the next page of rejects begins: behind this one. */
export interface RejectPlace {
  readonly input: number
  readonly byte: number
  readonly id: number
}

/** The next rejects of a job that are not replayed, and that a run has not tried yet; in the order of their inputs. */
export async function nextRejects(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  code: string | null,
  after: RejectPlace,
): Promise<(RejectPlace & { readonly bytes: number })[]> {
  const page = await client.query<Record<'id' | 'input' | 'byte' | 'bytes', string>>(
    `select id, input, byte, octet_length(raw) as bytes from ${quoteIdentifier(stateSchema)}.reject
      where job = $1 and run <> $2 and replayed_at is null and ($3::text is null or code = $3)
        and (input, byte, id) > ($4, $5, $6)
      order by input, byte, id limit ${String(MOST_REJECTS.items)}`,
    [job.id, job.run, code, after.input, after.byte, after.id],
  )
  return page.rows.map(({ id, input, byte, bytes }) => ({
    id: Number(id),
    input: Number(input),
    byte: Number(byte),
    bytes: Number(bytes),
  }))
}

/** Those of the given ids that are of no reject of a job. */
export async function unknownRejects(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  ids: readonly number[],
): Promise<number[]> {
  const found = await client.query<{ id: string }>(
    `select id from unnest($2::bigint[]) as id
      where not exists (select from ${quoteIdentifier(stateSchema)}.reject r where r.id = id.id and r.job = $1)`,
    [job.id, ids],
  )
  return found.rows.map(({ id }) => Number(id))
}

/**
 * Claims rejects inside the transaction that loads their rows. False when somebody has replayed or deleted one of them.
 *
 * Errors: CHECKPOINT_FENCED when a newer run has taken the job over.
 */
export async function claimRejects(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  ids: readonly number[],
): Promise<boolean> {
  const schema = quoteIdentifier(stateSchema)
  const fence = await client.query(
    `select from ${schema}.job where id = $1 and epoch = $2 for share`,
    [job.id, job.epoch],
  )
  if (fence.rowCount !== 1) throw fencedError()
  const locked = await client.query(
    `select from ${schema}.reject where id = any($1) and replayed_at is null for update`,
    [ids],
  )
  return locked.rowCount === ids.length
}

/** Notes what has come of rejects, in the transaction that loads their rows. */
export async function noteReplayed(
  client: Client,
  stateSchema: string,
  { run }: HeldJob,
  { done, refused, added }: Replayed,
): Promise<void> {
  const reject = `${quoteIdentifier(stateSchema)}.reject`
  await client.query(
    `update ${reject} r set replayed_at = clock_timestamp(), replayed_by = $1, replayed_rows = d.rows
       from unnest($2::bigint[], $3::bigint[]) as d(id, rows) where r.id = d.id`,
    [run, done.map(({ id }) => id), done.map(({ rows }) => rows)],
  )
  await client.query(
    `update ${reject} r set run = $1, rejected_at = clock_timestamp(), part = f.part::int[], column_name = f.column_name,
            code = f.code, constraint_name = f.constraint_name, message = f.message, stage = f.stage
       from ${REFUSED} where r.id = f.id`,
    [run, ...refusedColumns(refused)],
  )
  await client.query(
    `insert into ${reject} (run, job, input, start_byte, record, line, byte, raw,
                            part, column_name, code, constraint_name, message, stage)
     select $1, r.job, r.input, r.start_byte, r.record, r.line, r.byte, r.raw,
            f.part::int[], f.column_name, f.code, f.constraint_name, f.message, f.stage
       from ${REFUSED} join ${reject} r on r.id = f.id order by f.place`,
    [run, ...refusedColumns(added)],
  )
}

const REFUSED = `unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
         with ordinality as f(id, part, column_name, code, constraint_name, message, stage, place)`

/** NUL, which the server cannot keep, is left out. */
function refusedColumns(refused: readonly Refused[]): unknown[] {
  const texts = ['column', 'code', 'constraint', 'message', 'stage'] as const
  return [
    refused.map(({ id }) => id),
    refused.map(({ part }) => partText(part)),
    ...texts.map((name) => refused.map((one) => one[name]?.replaceAll('\0', '') ?? null)),
  ]
}

/** What a run has replayed. */
export interface ReplayCounts {
  /** Rejects that it has dealt with: their rows are loaded, or left out by the stages. */
  readonly replayed: number
  /** Rejects of which no row was loaded, for the stages have left it out. */
  readonly filtered: number
  /** Rows that were loaded. */
  readonly loaded: number
  /** Rows that were refused again. */
  readonly refused: number
}

export async function replayCounts(
  client: Client,
  stateSchema: string,
  { id, run }: HeldJob,
): Promise<ReplayCounts> {
  const found = await client.query<Record<keyof ReplayCounts, string>>(
    `select count(*) filter (where replayed_by = $2) as replayed,
            count(*) filter (where replayed_by = $2 and replayed_rows = 0) as filtered,
            coalesce(sum(replayed_rows) filter (where replayed_by = $2), 0) as loaded,
            count(*) filter (where run = $2 and replayed_at is null) as refused
       from ${quoteIdentifier(stateSchema)}.reject where job = $1`,
    [id, run],
  )
  const { replayed, filtered, loaded, refused } = found.rows[0]!
  return {
    replayed: Number(replayed),
    filtered: Number(filtered),
    loaded: Number(loaded),
    refused: Number(refused),
  }
}

/** Rows that replays have loaded for a job. */
export async function replayedRows(
  client: Client,
  stateSchema: string,
  { id }: HeldJob,
): Promise<number> {
  const found = await client.query<{ rows: string }>(
    `select coalesce(sum(replayed_rows), 0) as rows from ${quoteIdentifier(stateSchema)}.reject where job = $1`,
    [id],
  )
  return Number(found.rows[0]!.rows)
}
