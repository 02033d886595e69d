import type { Client } from 'pg'
import type { JobStaging } from '../checkpoint/job-state.ts'
import { TargetError } from '../core/errors.ts'
import { quoteIdentifier, quoteTable, type TableName } from '../core/identifier.ts'
import { findTable, type Table } from './catalog.ts'
import { rowsDropped } from './copy-parts.ts'
import { createGuard, dropGuard } from './staging-guard.ts'
import { copyKeys, requireSomePartition } from './staging-rules.ts'

/** What a staging table is made for. */
export interface StagedTable {
  readonly name: TableName
  readonly target: Table
  /** Columns of the target that are loaded. */
  readonly filled: readonly string[]
}

/**
 * Makes a staging table for rows that are to be inserted into a table; in the caller's transaction.
 *
 * Shape:  it refuses what the target refuses, so that a bad row is found with its chunk, and not when all are published:
 *         types, domains, NOT NULL, checks, keys and exclusion among its rows, and, by a trigger, keys and foreign keys
 *         against what is in the database. What cannot be known before (see below) is left to the publication.
 *         Defaults are taken here, each once; a value of a sequence is only taken by the target.
 * Why:    it is logged: an unlogged one is emptied when the server crashes, and the claims of its rows would stay.
 * Errors: TARGET_REFUSED for a target in which INSERT does something else than COPY: row-level security, rules.
 */
export async function createStaging(client: Client, staged: StagedTable): Promise<JobStaging> {
  const { name, target } = staged
  const { enforces, partitioned } = await factsOf(client, target)
  const table = quoteTable(name)
  const like = enforces ? '' : 'excluding constraints'
  await client.query(
    `create table ${table} (like ${quoteTable(target)} including all excluding identity excluding indexes
       excluding statistics excluding comments ${like})`,
  )
  const names: Record<string, string> = { [name.table]: target.table }
  if (enforces) Object.assign(names, await copyKeys(client, staged))
  else await allowNulls(client, name, target)
  if (enforces && partitioned) await requireSomePartition(client, staged)
  await leaveToTarget(client, staged)
  if (enforces) await createGuard(client, staged, names)
  const { oid, fileNode } = (await findTable(client, name))!
  return { ...name, oid, fileNode, publication: 'insert', enforces, names }
}

/**
 * Makes the staging table of a table that was just created, in the same transaction: it is the staging table, out of sight,
 * until it is renamed.
 *
 * Why: it is created in its place, where the server says what is against it, and default privileges come upon it.
 */
export async function hideTable(
  client: Client,
  { schema, table }: TableName,
  target: Table,
): Promise<JobStaging> {
  const inPlace = quoteTable({ schema: target.schema, table })
  await client.query(`alter table ${quoteTable(target)} rename to ${quoteIdentifier(table)}`)
  await client.query(`alter table ${inPlace} set schema ${quoteIdentifier(schema)}`)
  const { oid, fileNode } = target
  const names = { [table]: target.table }
  return { schema, table, oid, fileNode, publication: 'rename', enforces: true, names }
}

/** Puts a table that was hidden into its place. */
export async function showTable(
  client: Client,
  { schema, table }: TableName,
  target: TableName,
): Promise<void> {
  const inPlace = quoteTable({ schema: target.schema, table })
  await client.query(
    `alter table ${quoteTable({ schema, table })} set schema ${quoteIdentifier(target.schema)}`,
  )
  await client.query(`alter table ${inPlace} rename to ${quoteIdentifier(target.table)}`)
}

/**
 * Inserts all rows of a staging table into its target, in the caller's transaction.
 *
 * Shape:  constraints that are deferred are checked too.
 * Errors: TARGET_REFUSED when other than `rows` rows were inserted; what the server says.
 */
export async function insertStaged(
  client: Client,
  { name, target, filled }: StagedTable,
  rows: number,
): Promise<void> {
  const found = await client.query<{ name: string }>(
    `select attname::text as name from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''
        and (atthasdef or attname = any($2)) order by attnum`,
    [quoteTable(name), filled],
  )
  const columns = found.rows.map((row) => quoteIdentifier(row.name)).join(', ')
  const { rowCount } = await client.query(
    `insert into ${quoteTable(target)} (${columns}) select ${columns} from ${quoteTable(name)}`,
  )
  if (rowCount !== rows) throw rowsDropped(rowCount ?? 0, rows)
  await client.query('set constraints all immediate')
}

/** Drops a staging table, if it is the one that was made. */
export async function dropStaging(client: Client, staging: JobStaging): Promise<void> {
  const found = await findTable(client, staging)
  if (found?.oid === staging.oid) await client.query(`drop table ${quoteTable(staging)}`)
  if (staging.publication === 'insert') await dropGuard(client, staging)
}

/** What decides how the rows for a table are staged. */
interface TargetFacts {
  /**
   * Whether the staging table refuses what the target does. Triggers that see a row before it is inserted may change it:
   * what the constraints say of it is only known then.
   */
  readonly enforces: boolean
  readonly partitioned: boolean
}

async function factsOf(client: Client, target: Table): Promise<TargetFacts> {
  const { rows } = await client.query<Record<'secured' | 'ruled' | 'changed' | 'parted', boolean>>(
    FACTS,
    [quoteTable(target)],
  )
  const { secured, ruled, changed, parted } = rows[0]!
  const reason = secured ? 'row-level security' : ruled ? 'a rule for INSERT' : null
  if (reason !== null) {
    const name = `${target.schema}.${target.table}`
    throw new TargetError('TARGET_REFUSED', `${name} has ${reason}: COPY cannot load it alike`, {
      hint: 'load into a plain table',
    })
  }
  return { enforces: !changed, partitioned: parted }
}

/** Of a trigger's type: 1 is for each row, 2 before, 4 insert. */
const FACTS = `
  select row_security_active(c.oid) as secured, c.relkind = 'p' as parted,
         exists (select from pg_rewrite r where r.ev_class = c.oid and r.ev_type = '3') as ruled,
         exists (select from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal
                    and t.tgenabled in ('O', 'A') and t.tgtype & 7 = 7) as changed
    from pg_class c where c.oid = $1::regclass`

async function allowNulls(client: Client, name: TableName, target: Table): Promise<void> {
  const actions = target.columns
    .filter(({ notNull }) => notNull)
    .map((column) => `alter column ${quoteIdentifier(column.name)} drop not null`)
  if (actions.length > 0)
    await client.query(`alter table ${quoteTable(name)} ${actions.join(', ')}`)
}

/**
 * Leaves to the target what only it can fill: identities, and defaults that take values of a sequence, which would hold the
 * sequence fast, or that this role may not set. Columns that are loaded need no default.
 */
async function leaveToTarget(client: Client, { name, target, filled }: StagedTable): Promise<void> {
  const found = await client.query<{ name: string; action: string }>(LEFT, [
    quoteTable(target),
    filled,
  ])
  const actions = found.rows.map((row) => row.action.replace('%', () => quoteIdentifier(row.name)))
  if (actions.length > 0)
    await client.query(`alter table ${quoteTable(name)} ${actions.join(', ')}`)
}

const LEFT = `
  select a.attname::text as name,
         case when a.attname = any($2) then 'alter column % drop default' else 'drop column % cascade' end as action
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     and (a.attname = any($2) and d.oid is not null or a.attname <> all($2) and (
       a.attidentity <> ''
       or d.oid is not null and not has_column_privilege(a.attrelid, a.attnum, 'INSERT')
       or exists (select from pg_depend p join pg_class s on s.oid = p.refobjid and s.relkind = 'S'
                   where p.classid = 'pg_attrdef'::regclass and p.objid = d.oid
                     and p.refclassid = 'pg_class'::regclass)))`
