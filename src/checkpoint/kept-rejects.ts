import type { Client } from 'pg'
import { batchesBySize } from '../core/batches.ts'
import { quoteIdentifier } from '../core/identifier.ts'
import { instantOf, instantSql } from './instant.ts'
import type { HeldJob } from './job.ts'
import type { Reject } from './rejects.ts'

/** A reject as the state schema keeps it. */
export interface KeptReject extends Reject {
  readonly id: number
  /** The key of its job, and the path of its input. */
  readonly job: string
  readonly input: string
  readonly rejectedAt: Date
}

/** Which rejects: those of a job, or with a code; null for all. None of them is replayed. */
export interface RejectFilter {
  readonly job: string | null
  readonly code: string | null
}

/** Rejects that are dealt with at a time, with their bytes. */
export const MOST_REJECTS = { items: 2_000, bytes: 8 << 20 } as const

/**
 * Reads rejects, some at a time, in the order of their inputs: as they are at one moment, whoever replays them meanwhile.
 *
 * Shape: needs the client to itself, in a transaction.
 */
export async function* readRejects(
  client: Client,
  stateSchema: string,
  filter: RejectFilter,
): AsyncGenerator<KeptReject[]> {
  await client.query('begin isolation level repeatable read read only')
  try {
    const from = `from ${joined(stateSchema)} where ${OPEN} order by r.job, r.input, r.byte, r.id`
    const cursor = `declare millrace_rejects no scroll cursor for select r.id, octet_length(r.raw) as bytes ${from}`
    await client.query(cursor, [filter.job, filter.code])
    for (;;) {
      const fetch = `fetch ${String(MOST_REJECTS.items)} from millrace_rejects`
      const page = await client.query<{ id: string; bytes: number }>(fetch)
      for (const batch of batchesBySize(page.rows, MOST_REJECTS)) {
        yield await rejectsById(client, stateSchema, 'r.replayed_at is null', [
          batch.map(({ id }) => Number(id)),
        ])
      }
      if (page.rows.length < MOST_REJECTS.items) return
    }
  } finally {
    await client.query('rollback').catch(() => undefined) // it has only read
  }
}

/** Those of a job's rejects that are not replayed, and that its run has not tried yet, in the order of their inputs. */
export function rejectsToReplay(
  client: Client,
  stateSchema: string,
  { id, run }: HeldJob,
  ids: readonly number[],
  code: string | null,
): Promise<KeptReject[]> {
  const isOpen = `r.replayed_at is null and r.job = $2 and r.run <> $3 and ($4::text is null or r.code = $4)`
  return rejectsById(client, stateSchema, isOpen, [ids, id, run, code])
}

/** Rejects whose ids are in the first of the values, and for which a condition holds. */
async function rejectsById(
  client: Client,
  stateSchema: string,
  condition: string,
  values: readonly unknown[],
): Promise<KeptReject[]> {
  const found = await client.query<KeptRow>(
    `select r.id, job.key as job, input.path as input, r.record, r.line, r.byte,
            array_to_string(r.part, ',') as part, encode(r.raw, 'hex') as raw, r.column_name as "column", r.code,
            r.constraint_name as "constraint", r.message, r.stage, ${instantSql('r.rejected_at')} as rejected_at
       from ${joined(stateSchema)}
      where r.id = any($1) and ${condition}
      order by r.job, r.input, r.byte, r.id`,
    [...values],
  )
  return found.rows.map((row) => ({
    id: Number(row.id),
    job: row.job,
    input: row.input,
    record: Number(row.record),
    line: Number(row.line),
    byte: Number(row.byte),
    part: row.part === null ? [] : row.part.split(',').map(Number),
    raw: Buffer.from(row.raw, 'hex'),
    column: row.column,
    code: row.code,
    constraint: row.constraint,
    message: row.message,
    stage: row.stage,
    rejectedAt: instantOf(row.rejected_at),
  }))
}

interface KeptRow {
  id: string
  job: string
  input: string
  record: string
  line: string
  byte: string
  part: string | null
  raw: string
  column: string | null
  code: string
  constraint: string | null
  message: string
  stage: string | null
  rejected_at: string
}

/** Rejects for the same reason, and the first of them. */
export interface RejectGroup {
  readonly job: string
  /** SQLSTATE, or a code of Millrace. */
  readonly code: string
  readonly column: string | null
  readonly constraint: string | null
  readonly stage: string | null
  /** How many. */
  readonly rows: number
  /** Of the first: its input, its record and line from 1, and why; the message may hold values of it. */
  readonly input: string
  readonly record: number
  readonly line: number
  readonly message: string
}

/** Rejects by job and reason, the most common reason of a job first. */
export async function rejectGroups(
  client: Client,
  stateSchema: string,
  { job, code }: RejectFilter,
): Promise<RejectGroup[]> {
  const found = await client.query<Record<keyof RejectGroup, string | null>>(
    `select grouped.*, input.path as input, r.record, r.line, r.message
       from (select job.key as job, r.code, r.column_name as "column", r.constraint_name as "constraint", r.stage,
                    count(*) as rows, (array_agg(r.id order by r.input, r.byte, r.id))[1] as first
               from ${joined(stateSchema)} where ${OPEN} group by 1, 2, 3, 4, 5) grouped
       join ${quoteIdentifier(stateSchema)}.reject r on r.id = grouped.first
       join ${quoteIdentifier(stateSchema)}.input on input.id = r.input
      order by grouped.job, grouped.rows desc, r.input, r.byte`,
    [job, code],
  )
  return found.rows.map((row) => ({
    job: String(row.job),
    code: String(row.code),
    column: row.column,
    constraint: row.constraint,
    stage: row.stage,
    rows: Number(row.rows),
    input: String(row.input),
    record: Number(row.record),
    line: Number(row.line),
    message: String(row.message),
  }))
}

function joined(stateSchema: string): string {
  const schema = quoteIdentifier(stateSchema)
  return `${schema}.reject r join ${schema}.job on job.id = r.job join ${schema}.input on input.id = r.input`
}

/** Of a filter's job and code. */
const OPEN = `r.replayed_at is null and ($1::text is null or job.key = $1) and ($2::text is null or r.code = $2)`
