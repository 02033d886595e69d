import type { Client } from 'pg'
import { quoteTable, type TableName } from '../core/identifier.ts'
import { type CheckFilter, checkFilter } from './check-filter.ts'
import type { CopyTarget } from './copy-parts.ts'
import { type KeyRule, type Probe, probeOf } from './probe.ts'

/**
 * What is known beforehand of the rows that a table refuses, from its constraints: its checks and its keys; null where
 * there are none.
 *
 * Why: such a row ends the COPY it comes in. This only tells which rows to send by themselves: the server still has the last
 *      word, and what the rules leave out (triggers, domains, exclusion, keys over expressions) it finds.
 */
export interface RowRules {
  readonly checks: CheckFilter | null
  readonly keys: Probe | null
}

/** The rules of a table, as far as they are about columns of the COPY. */
export async function findRules(client: Client, target: CopyTarget): Promise<RowRules> {
  const table = quoteTable(target.table)
  const beside = target.staged?.target ?? null
  const { rows: columns } = await client.query<ColumnRow>(COLUMNS, [table])
  const types = new Map(columns.map(({ name, plain }) => [name, plain]))
  const isHere = (name: string): boolean => types.has(name) && target.columns.includes(name)
  const { rows: checks } = await client.query<CheckRow>(CHECKS, [table])
  const keys = await keysOf(client, table, beside)
  const asked = <Rule extends { keys: string[] }>(rules: readonly Rule[]): Rule[] =>
    rules.filter((rule) => rule.keys.length > 0 && rule.keys.every(isHere))
  const tables = [table, ...(beside === null ? [] : [quoteTable(beside)])]
  return {
    checks: checkFilter(asked(checks).map(({ expression }) => expression)),
    keys: probeOf(asked(keys), target.columns, types, tables),
  }
}

interface ColumnRow {
  name: string
  plain: string
}

interface CheckRow {
  keys: string[]
  expression: string
}

/** A staging table has no foreign keys: those of the table beside it hold for its rows. */
async function keysOf(client: Client, table: string, beside: TableName | null): Promise<KeyRule[]> {
  const { rows } = await client.query<KeyRule>(KEYS, [table])
  if (beside === null) return rows
  const more = await client.query<KeyRule>(KEYS, [quoteTable(beside)])
  return [...rows, ...more.rows.filter(({ type }) => type === 'foreign')]
}

const COLUMNS = `
  select a.attname::text as name, format_type(a.atttypid, -1) as plain
    from pg_attribute a join pg_type t on t.oid = a.atttypid
   where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and t.typtype <> 'd'`

function names(numbers: string, relation: string): string {
  return `
  (select pg_catalog.array_agg(a.attname::text order by k.place)
     from pg_catalog.unnest(${numbers}) with ordinality k(num, place)
     join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.num)`
}

/** COPY takes no condition on columns of the system's, or on the row as a whole, which has the number 0. */
const CHECKS = `
  select ${names('c.conkey', 'c.conrelid')} as keys, pg_get_expr(c.conbin, c.conrelid) as expression
    from pg_constraint c
   where c.conrelid = $1::regclass and c.contype = 'c' and c.conkey is not null and 0 < all (c.conkey)
     and (pg_catalog.to_jsonb(c) ->> 'conenforced') is distinct from 'false'
   order by c.conname`

const KEYS = `
  select 'unique' as type, ${names('i.indkey::int2[]', 'i.indrelid')} as keys,
         coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) = false as nulls_distinct,
         null as referred, null::text[] as referred_keys
    from pg_index i
   where i.indrelid = $1::regclass and i.indisunique and i.indpred is null and i.indexprs is null
     and i.indnatts = i.indnkeyatts
  union all
  select 'foreign', ${names('c.conkey', 'c.conrelid')}, null, c.confrelid::regclass::text, ${names('c.confkey', 'c.confrelid')}
    from pg_constraint c
   where c.conrelid = $1::regclass and c.contype = 'f' and c.confmatchtype = 's' and c.confrelid <> c.conrelid`
