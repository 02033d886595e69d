import type { Client } from 'pg'
import type { BlockPool } from '../copy/block-pool.ts'
import type { CopyFormat, CopyPart } from '../copy/encode-chunk.ts'
import { quoteIdentifier } from '../core/identifier.ts'
import { CopyIn } from './copy-in.ts'
import { copyParts } from './copy-parts.ts'

/** A question to the server: which of some rows would break a unique or a foreign key of the table. */
export interface Probe {
  /** Columns of the target that it needs, by their places in the COPY. */
  readonly columns: readonly number[]
  readonly create: string
  readonly ask: string
  readonly names: readonly string[]
}

/** A unique index or a foreign key, with the columns it is about. */
export interface KeyRule {
  readonly type: 'unique' | 'foreign'
  readonly keys: string[]
  /** Of a unique index. */
  readonly nulls_distinct: boolean | null
  /** Of a foreign key. */
  readonly referred: string | null
  readonly referred_keys: string[] | null
}

/** The probe for some keys, which are looked up in the tables given; null where there is nothing to ask. */
export function probeOf(
  rules: readonly KeyRule[],
  copied: readonly string[],
  types: ReadonlyMap<string, string>,
  tables: readonly string[],
): Probe | null {
  if (rules.length === 0) return null
  const names = [...new Set(rules.flatMap(({ keys }) => keys))]
  const typed = names.map((name) => `${quoteIdentifier(name)} ${types.get(name)!}`)
  return {
    columns: names.map((name) => copied.indexOf(name)),
    names,
    create: `create temp table ${PROBE} (${typed.join(', ')}) on commit drop`,
    // Rows lie in a table of its own in the order they came in. With an identity column the probe takes a fifth more CPU of the server.
    ask: `select row from (select (${N} - 1)::int as row, ${rules.map((rule) => conditionOf(rule, tables)).join(' or ')} as bad
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

function conditionOf(rule: KeyRule, tables: readonly string[]): string {
  const keys = rule.keys.map((key) => `p.${quoteIdentifier(key)}`)
  const present = keys.map((key) => `${key} is not null`).join(' and ')
  if (rule.type === 'unique') {
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
