import type { Client } from 'pg'
import { RowPlan } from '../../src/copy/rows.ts'
import { mapColumns } from '../../src/run/job/mapping.ts'
import { findTable } from '../../src/target/catalog.ts'

/** Two tables with a column of the type: one for each road. */
export interface Tables {
  readonly binary: string
  readonly text: string
  readonly plan: RowPlan
  /** The binary output function of the type. */
  readonly send: string
}

export async function makeTables(client: Client, type: string, name: string): Promise<Tables> {
  const [binary, text] = [`${name}_binary`, `${name}_text`]
  for (const table of [binary, text]) {
    await client.query(`create unlogged table ${table} (id int4, v ${type})`)
  }
  const table = await findTable(client, { schema: 'public', table: binary })
  const plan = new RowPlan(mapColumns(table!, ['id', 'v']).columns)
  const send = await client.query<{ send: string }>(
    `select typsend::regproc::text as send from pg_attribute join pg_type t on t.oid = atttypid
      where attrelid = '${binary}'::regclass and attname = 'v'`,
  )
  // A domain over an enum is no enum to its output function; the labels tell enough.
  const found = send.rows[0]!.send
  return { binary, text, plan, send: found === 'enum_send' ? 'text' : found }
}

/** The values that the two tables do not have alike. */
export async function differences(
  client: Client,
  { binary, text, send }: Tables,
): Promise<unknown[]> {
  const result = await client.query(`
    select id, b.v::text as by_binary, t.v::text as by_text,
           ${send}(b.v) as bytes_by_binary, ${send}(t.v) as bytes_by_text
      from ${binary} b full join ${text} t using (id)
     where b.id is null or t.id is null or b.v::text is distinct from t.v::text
        or ${send}(b.v) is distinct from ${send}(t.v)`)
  return result.rows
}
