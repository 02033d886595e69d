import { type Client, escapeLiteral } from 'pg'
import { quoteIdentifier, quoteTable, type TableName } from '../core/identifier.ts'
import { dollarQuote } from './dollar-quote.ts'
import type { StagedTable } from './staging.ts'

/**
 * Has a staging table refuse rows that its target would refuse for what is in the database: a key that the target has, a
 * foreign key that nothing has. What it says of them is what the target would say.
 *
 * Shape:  a trigger that asks once for all rows of a statement. It leaves out what this role may not see all of, and keys of
 *         the target to itself, whose rows may come with a later chunk: those the publication finds.
 * Why:    not real foreign keys: they would hold rows of others fast for as long as rows are staged, and need the right
 *         REFERENCES. Not the probe alone: it is only asked where a row was refused.
 */
export async function createGuard(
  client: Client,
  { name, target }: StagedTable,
  names: Readonly<Record<string, string>>,
): Promise<void> {
  const table = quoteTable(name)
  const keys = await client.query<KeyRow>(KEYS, [table, quoteTable(target)])
  const references = await client.query<ReferenceRow>(REFERENCES, [table, quoteTable(target)])
  const rules = [
    ...keys.rows.map((row) => keyRule({ ...row, key: names[row.key] ?? row.key }, target)),
    ...references.rows.map((row) => referenceRule(row, target)),
  ]
  if (rules.length === 0) return
  const body = `begin${rules.map((rule) => raiseWhere(rule, target)).join('')}\n  return null;\nend`
  await client.query(
    `create function ${guardOf(name)}() returns trigger language plpgsql ${SETTINGS} as ${dollarQuote(body)};
     create trigger guard after insert on ${table} referencing new table as ${ARRIVED}
       for each statement execute function ${guardOf(name)}()`,
  )
}

/** Drops what the guard of a dropped table has left. */
export async function dropGuard(client: Client, name: TableName): Promise<void> {
  await client.query(`drop function if exists ${guardOf(name)}()`)
}

function guardOf({ schema, table }: TableName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(`${table}_guard`)}`
}

const ARRIVED = '"millrace: arrived"'

/**
 * Each row looks its keys up in an index: a plan that is made for the rows of a COPY and kept also serves the statements of one
 * row behind it, where a hash of the table would take as long as for all. The costs that this makes up would start JIT.
 */
const SETTINGS =
  'set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off'

/** What is refused, and how the server says so. */
interface GuardRule {
  /** Whether some row that has arrived is refused. */
  readonly condition: string
  readonly constraint: string
  readonly sqlstate: string
  readonly message: string
}

function raiseWhere(rule: GuardRule, { schema, table }: TableName): string {
  const { condition, constraint, sqlstate, message } = rule
  const text = (value: string): string => escapeLiteral(value)
  return `
  if ${condition} then
    raise exception using errcode = ${text(sqlstate)}, message = ${text(message)},
      constraint = ${text(constraint)}, table = ${text(table)}, schema = ${text(schema)};
  end if;`
}

interface KeyRow {
  key: string
  exclusion: boolean
  /** Columns or expressions of the index. */
  parts: string[]
  operators: string[]
  predicate: string | null
  nulls_equal: boolean
}

function keyRule(row: KeyRow, target: TableName): GuardRule {
  const { key, exclusion, parts, operators, predicate, nulls_equal } = row
  const where = predicate === null ? '' : ` where ${predicate}`
  const list = parts.map((part, i) => `(${part}) as k${String(i)}`).join(', ')
  const same = operators.map((operator, i) => {
    const [there, here] = [`there.k${String(i)}`, `here.k${String(i)}`]
    const equal = `${there} ${operator} ${here}`
    return nulls_equal ? `(${equal} or ${there} is null and ${here} is null)` : equal
  })
  const [what, sqlstate] = exclusion
    ? ['conflicting key value violates exclusion', '23P01']
    : ['duplicate key value violates unique', '23505']
  return {
    condition: `exists (select from (select ${list} from ${ARRIVED}${where}) here
      where exists (select from (select ${list} from ${quoteTable(target)}${where}) there where ${same.join(' and ')}))`,
    constraint: key,
    sqlstate,
    message: `${what} constraint "${key}"`,
  }
}

interface ReferenceRow {
  key: string
  columns: string[]
  referred: string
  referred_columns: string[]
}

function referenceRule(row: ReferenceRow, { table }: TableName): GuardRule {
  const columns = row.columns.map((name) => `here.${quoteIdentifier(name)}`)
  const present = columns.map((column) => `${column} is not null`).join(' and ')
  const same = row.referred_columns.map(
    (name, i) => `there.${quoteIdentifier(name)} = ${columns[i]!}`,
  )
  return {
    condition: `exists (select from ${ARRIVED} here where ${present}
      and not exists (select from ${row.referred} there where ${same.join(' and ')}))`,
    constraint: row.key,
    sqlstate: '23503',
    message: `insert or update on table "${table}" violates foreign key constraint "${row.key}"`,
  }
}

/** Whether this role sees all rows of a table. */
function isSeen(table: string): string {
  return `(has_table_privilege(${table}, 'SELECT') and not row_security_active(${table})
    and (select has_schema_privilege(relnamespace, 'USAGE') from pg_class where oid = ${table}))`
}

/** The keys that the staging table has. */
const KEYS = `
  select x.relname::text as key, i.indisexclusion as exclusion,
         (select array_agg(pg_get_indexdef(x.oid, k, true) order by k) from generate_series(1, i.indnkeyatts) k) as parts,
         coalesce(
           (select array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by e.place)
              from unnest(c.conexclop) with ordinality e(op, place)
              join pg_operator o on o.oid = e.op join pg_namespace n on n.oid = o.oprnamespace),
           array_fill('='::text, array[i.indnkeyatts::int])) as operators,
         pg_get_expr(i.indpred, i.indrelid) as predicate,
         coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) as nulls_equal
    from pg_index i join pg_class x on x.oid = i.indexrelid
    left join pg_constraint c on c.conindid = x.oid and c.contype in ('p', 'u', 'x')
   where i.indrelid = $1::regclass and ${isSeen('$2::regclass')} order by x.oid`

const NAMES = (numbers: string, relation: string): string => `
  (select array_agg(a.attname::text order by k.place) from unnest(${numbers}) with ordinality k(num, place)
     join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.num)`

/** The foreign keys of the target whose columns the staging table has. */
const REFERENCES = `
  select c.conname::text as key, ${NAMES('c.conkey', 'c.conrelid')} as columns,
         (select format('%I.%I', n.nspname, f.relname) from pg_class f join pg_namespace n on n.oid = f.relnamespace
           where f.oid = c.confrelid) as referred,
         ${NAMES('c.confkey', 'c.confrelid')} as referred_columns
    from pg_constraint c
   where c.conrelid = $2::regclass and c.contype = 'f' and c.confmatchtype = 's' and c.confrelid <> c.conrelid
     and coalesce((to_jsonb(c) ->> 'conenforced')::bool, true)
     and not coalesce((to_jsonb(c) ->> 'conperiod')::bool, false)
     and ${isSeen('c.confrelid')}
     and not exists (select from unnest(c.conkey) k(num)
       join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num
       where not exists (select from pg_attribute s where s.attrelid = $1::regclass and s.attname = a.attname
                            and not s.attisdropped))
   order by c.oid`
