import type { Client } from 'pg'
import type { BlockPool } from '../copy/block-pool.ts'
import type { CopyFormat, CopyPart } from '../copy/encode-chunk.ts'
import { quoteIdentifier, quoteTable, type TableName } from '../core/identifier.ts'
import { CopyIn } from './copy-in.ts'
import { copyParts, type CopyTarget } from './copy-parts.ts'

/**
 * A question to the server: which of some rows would break a check, a unique or a foreign key of the table.
 *
 * Why: such a row ends the COPY it comes in. The answer only says which rows to send by themselves: the server still has
 *      the last word, and what the question leaves out (triggers, domains, exclusion, keys over expressions) it finds.
 */
export interface Probe {
  /** Columns of the target that it needs, by their places in the COPY. */
  readonly columns: readonly number[]
  readonly create: string
  readonly ask: string
  readonly names: readonly string[]
}

/** The probe for a table; null where there is nothing to ask. */
export async function findProbe(client: Client, target: CopyTarget): Promise<Probe | null> {
  const table = quoteTable(target.table)
  const beside = target.staged?.target ?? null
  const columns = await client.query<ColumnRow>(COLUMNS, [table])
  const known = new Map(columns.rows.map((row) => [row.name, row]))
  const isHere = (name: string): boolean => known.has(name) && target.columns.includes(name)
  const rules = await rulesOf(client, table, beside)
  const asked = rules.filter(({ keys }) => keys.length > 0 && keys.every(isHere))
  if (asked.length === 0) return null
  const tables = [table, ...(beside === null ? [] : [quoteTable(beside)])]
  const names = [...new Set(asked.flatMap(({ keys }) => keys))]
  const typed = names.map((name) => `${quoteIdentifier(name)} ${known.get(name)!.plain}`)
  return {
    columns: names.map((name) => target.columns.indexOf(name)),
    names,
    create: `create temp table ${PROBE} (${typed.join(', ')}) on commit drop`,
    // Rows lie in a table of its own in the order they came in. With an identity column the probe takes a fifth more CPU of the server.
    ask: `select row from (select (${N} - 1)::int as row, ${asked.map((rule) => conditionOf(rule, tables)).join(' or ')} as bad
      from (select row_number() over () as ${N}, * from ${PROBE}) p) asked where bad order by row`,
  }
}

/**
 * Asks for the rows that would break a rule, in the open transaction.
 *
 * Shape: the parts are of the probe's columns; the result counts their rows from 0, ascending.
 */
export async function askProbe(
  client: Client,
  probe: Probe,
  parts: AsyncIterable<CopyPart>,
  pool: BlockPool,
): Promise<number[]> {
  await client.query(probe.create)
  const columns = probe.names.map((name) => quoteIdentifier(name)).join(', ')
  const begin = async (format: CopyFormat): Promise<CopyIn> => {
    const copy = new CopyIn(`copy ${PROBE} (${columns}) from stdin (format ${format})`)
    await copy.begin(client)
    return copy
  }
  await copyParts(parts, pool, begin)
  // Each row looks its keys up in an index: a hash of the table would take longer with every chunk.
  await client.query('set local enable_seqscan = off')
  const found = await client.query<{ row: number }>(probe.ask)
  await client.query(`set local enable_seqscan to default; drop table ${PROBE}`)
  return found.rows.map(({ row }) => row)
}

const PROBE = 'pg_temp.millrace_probe'
/** The number of a row; no column of the target is called so. */
const N = '"millrace: n"'

interface ColumnRow {
  name: string
  plain: string
}

/** A check, a unique index or a foreign key, with the columns it is about. */
interface RuleRow {
  type: 'c' | 'u' | 'f'
  keys: string[]
  /** Of a check. */
  expression: string | null
  /** Of a unique index. */
  nulls_distinct: boolean | null
  /** Of a foreign key. */
  referred: string | null
  referred_keys: string[] | null
}

/** A staging table has no foreign keys: those of the table beside it hold for its rows. */
async function rulesOf(
  client: Client,
  table: string,
  beside: TableName | null,
): Promise<RuleRow[]> {
  const { rows } = await client.query<RuleRow>(RULES, [table])
  if (beside === null) return rows
  const more = await client.query<RuleRow>(RULES, [quoteTable(beside)])
  return [...rows, ...more.rows.filter(({ type }) => type === 'f')]
}

function conditionOf(rule: RuleRow, tables: readonly string[]): string {
  if (rule.type === 'c') return `not coalesce((${rule.expression ?? 'true'}), true)`
  const keys = rule.keys.map((key) => `p.${quoteIdentifier(key)}`)
  const present = keys.map((key) => `${key} is not null`).join(' and ')
  if (rule.type === 'u') {
    const before = `row_number() over (partition by ${keys.join(', ')} order by ${N}) > 1`
    const there = tables.map((table) => found(table, rule.keys, keys)).join(' or ')
    return `(${rule.nulls_distinct === false ? 'true' : present}) and (${before} or ${there})`
  }
  return `(${present}) and not ${found(rule.referred!, rule.referred_keys!, keys)}`
}

/** Whether a table has a row with these keys; the limit keeps the server from hashing all of it. */
function found(table: string, columns: readonly string[], values: readonly string[]): string {
  const same = columns.map((name, i) => `o.${quoteIdentifier(name)} = ${values[i]!}`).join(' and ')
  return `coalesce((select true from ${table} o where ${same} limit 1), false)`
}

const COLUMNS = `
  select a.attname::text as name, format_type(a.atttypid, -1) as plain
    from pg_attribute a join pg_type t on t.oid = a.atttypid
   where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and t.typtype <> 'd'`

const NAMES = `
  (select pg_catalog.array_agg(a.attname::text order by k.place)
     from pg_catalog.unnest(%s) with ordinality k(num, place)
     join pg_attribute a on a.attrelid = %r and a.attnum = k.num)`

function names(numbers: string, relation: string): string {
  return NAMES.replace('%s', numbers).replace('%r', relation)
}

const RULES = `
  select 'c' as type, ${names('c.conkey', 'c.conrelid')} as keys, pg_get_expr(c.conbin, c.conrelid) as expression,
         null::bool as nulls_distinct, null as referred, null::text[] as referred_keys
    from pg_constraint c where c.conrelid = $1::regclass and c.contype = 'c' and c.conkey is not null
  union all
  select 'u', ${names('i.indkey::int2[]', 'i.indrelid')}, null,
         coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) = false, null, null
    from pg_index i
   where i.indrelid = $1::regclass and i.indisunique and i.indpred is null and i.indexprs is null
     and i.indnatts = i.indnkeyatts
  union all
  select 'f', ${names('c.conkey', 'c.conrelid')}, null, null, c.confrelid::regclass::text, ${names('c.confkey', 'c.confrelid')}
    from pg_constraint c
   where c.conrelid = $1::regclass and c.contype = 'f' and c.confmatchtype = 's' and c.confrelid <> c.conrelid`
