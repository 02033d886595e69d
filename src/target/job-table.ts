import type { Client } from 'pg'
import type { JobTarget } from '../checkpoint/job-state.ts'
import { hasCrashMark } from '../checkpoint/crash-mark.ts'
import { targetChanged } from '../checkpoint/refusals.ts'
import { quoteTable, type TableName } from '../core/identifier.ts'
import type { Table } from './catalog.ts'

/** A table as its job remembers it. */
export function jobTarget(table: Table, created: boolean): JobTarget {
  return {
    schema: table.schema,
    table: table.table,
    oid: table.oid,
    fileNode: table.fileNode,
    columns: table.columns.map((column) => `${column.name} ${column.type}`),
    created,
    ...(table.isUnlogged ? { unlogged: true } : {}),
  }
}

/**
 * Refuses to go on when rows that the checkpoint knows are gone from the table.
 *
 * Shape:  an empty table is always noticed; fewer rows than were loaded are when TRUNCATE (or a rewrite, such as
 *         VACUUM FULL) has given the table new storage. Rows that somebody deleted one by one are not counted.
 * Errors: CHECKPOINT_TARGET_CHANGED.
 */
export async function requireLoadedRows(
  client: Client,
  before: Pick<JobTarget, 'fileNode'>,
  now: Table,
  loaded: number,
): Promise<void> {
  if (loaded === 0) return
  const name = quoteTable(now)
  const some = await client.query<{ some: boolean }>(`select exists (select from ${name}) as some`)
  if (some.rows[0]?.some !== true) {
    throw targetChanged(
      `${now.schema}.${now.table} is empty, and ${String(loaded)} rows were loaded into it`,
    )
  }
  if (now.fileNode === before.fileNode) return
  const rows = await countRows(client, now)
  if (rows < loaded) {
    throw targetChanged(
      `${now.schema}.${now.table} was truncated or rewritten: it has ${String(rows)} rows, ${String(loaded)} were loaded`,
    )
  }
}

/**
 * Refuses to go on when the server has crashed since an unlogged table was loaded into, which has emptied it.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED.
 */
export async function requireNoCrash(
  client: Client,
  stateSchema: string,
  job: number,
  { schema, table }: TableName,
): Promise<void> {
  if (await hasCrashMark(client, stateSchema, job)) return
  throw targetChanged(
    `${schema}.${table} is unlogged, and was emptied by a crash of the server: what was loaded into it is gone`,
  )
}

export async function countRows(client: Client, table: Table): Promise<number> {
  const result = await client.query<{ rows: string }>(
    `select count(*) as rows from ${quoteTable(table)}`,
  )
  return Number(result.rows[0]?.rows ?? 0)
}
