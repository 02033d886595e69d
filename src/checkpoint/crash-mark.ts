import type { Client } from 'pg'
import { quoteIdentifier } from '../core/identifier.ts'

/**
 * A crash of the server empties an unlogged table, and leaves the claims on its rows. So a job that loads into one has a mark
 * in an unlogged table of the checkpoint, which the crash empties too: no mark, no claim, and the rows are known to be gone.
 * https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-UNLOGGED
 */
export function crashMarkDdl(schema: string): string {
  return `
create unlogged table if not exists ${schema}.crash_mark (job bigint primary key);
comment on table ${schema}.crash_mark is 'a job that loads into an unlogged table: a crash of the server empties both';
revoke all on ${schema}.crash_mark from public;`
}

export async function setCrashMark(
  client: Client,
  stateSchema: string,
  job: number,
): Promise<void> {
  await client.query(
    `insert into ${quoteIdentifier(stateSchema)}.crash_mark (job) values ($1) on conflict do nothing`,
    [job],
  )
}

/** Whether the server has not crashed since the mark was set. */
export async function hasCrashMark(
  client: Client,
  stateSchema: string,
  job: number,
): Promise<boolean> {
  const found = await client.query(
    `select from ${quoteIdentifier(stateSchema)}.crash_mark where job = $1`,
    [job],
  )
  return found.rowCount === 1
}
