import type { Client } from 'pg'
import { quoteIdentifier, quoteTable } from '../core/identifier.ts'
import type { StagedTable } from './staging.ts'

/**
 * Gives a staging table the unique keys and exclusion constraints of its target.
 *
 * Shape: what they are called at the target, by their names here, which only the state schema's other tables must not have.
 */
export async function copyKeys(
  client: Client,
  { name, target }: StagedTable,
): Promise<Record<string, string>> {
  const found = await client.query<KeyRow>(KEYS, [quoteTable(target)])
  const names: Record<string, string> = {}
  for (const [i, { key, constraint, index }] of found.rows.entries()) {
    const own = `${name.table}_${String(i + 1)}`
    names[own] = key
    const quoted = quoteIdentifier(own)
    await client.query(
      constraint === null
        ? `create unique index ${quoted} on ${quoteTable(name)} ${index}`
        : `alter table ${quoteTable(name)} add constraint ${quoted} ${constraint}`,
    )
  }
  return names
}

interface KeyRow {
  key: string
  /** Null for an index that is of no constraint. */
  constraint: string | null
  /** What comes behind the table's name in its definition. */
  index: string
}

const KEYS = `
  select x.relname::text as key, pg_get_constraintdef(c.oid) as constraint,
         substr(pg_get_indexdef(x.oid), length(format('CREATE UNIQUE INDEX %I ON %s%I.%I ', x.relname,
           case when x.relkind = 'I' then 'ONLY ' else '' end, n.nspname, t.relname)) + 1) as index
    from pg_index i join pg_class x on x.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
    left join pg_constraint c on c.conindid = x.oid and c.conrelid = t.oid and c.contype in ('p', 'u', 'x')
   where t.oid = $1::regclass and i.indisvalid and (i.indisunique or i.indisexclusion)
   order by x.oid`

/**
 * Has a staging table refuse rows for which its partitioned target has no partition.
 *
 * Why: the server looks a partition up, this check asks one after the other: 4 us a row for 100 partitions, 18 for 365. To make
 *      the staging table of as many would take longer for most.
 */
export async function requireSomePartition(
  client: Client,
  { name, target }: StagedTable,
): Promise<void> {
  const found = await client.query<{ rule: string | null }>(
    `select pg_get_partition_constraintdef(relid) as rule
       from pg_partition_tree($1::regclass) where isleaf and level > 0`,
    [quoteTable(target)],
  )
  const rules = found.rows.map(({ rule }) => rule)
  if (rules.includes(null)) return // one that takes every row
  await client.query(
    `alter table ${quoteTable(name)} add constraint no_partition check (${rules.join(' or ') || 'false'})`,
  )
}
