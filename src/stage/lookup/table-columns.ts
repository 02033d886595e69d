import { ConfigError } from '../../core/errors.ts'
import { quoteIdentifier, quoteTable } from '../../core/identifier.ts'
import type { StageContext } from '../stage.ts'

/** A table to look up in. */
export interface FoundTable {
  /** As in SQL. */
  readonly name: string
  readonly columns: readonly FoundColumn[]
}

export interface FoundColumn {
  readonly name: string
  /** As one writes it: `numeric(12,2)`. */
  readonly type: string
  /** What keys are cast to: the type that a domain stands on, without a length, which a cast would cut them to. */
  readonly keyType: string
  /** Name in pg_catalog, '' for a type that is not there. */
  readonly baseType: string
}

/** Looks a table up, by the search path where no schema is named. Errors: CONFIG_BAD_VALUE when there is none. */
export async function findTable(
  context: StageContext,
  { schema, table }: { readonly schema: string | null; readonly table: string },
): Promise<FoundTable> {
  const given = schema === null ? quoteIdentifier(table) : quoteTable({ schema, table })
  const rows = await context.query(COLUMNS, [given])
  const [first] = rows as readonly string[][]
  if (first === undefined) {
    const message = `enrich looks up in table ${given}, which is not there`
    throw new ConfigError('CONFIG_BAD_VALUE', message, {
      hint: 'it has to be in the database that is loaded into; name its schema if it is not in the search path',
    })
  }
  const name = quoteTable({ schema: first[0]!, table: first[1]! })
  const columns = (rows as readonly string[][]).map(([, , column, type, keyType, baseType]) => ({
    name: column!,
    type: type!,
    keyType: keyType!,
    baseType: baseType!,
  }))
  return { name, columns }
}

/** The column of a name. Errors: CONFIG_UNKNOWN_COLUMN, naming the columns there are. */
export function foundColumn(table: FoundTable, name: string): FoundColumn {
  const found = table.columns.find((column) => column.name === name)
  if (found !== undefined) return found
  const message = `enrich names column ${JSON.stringify(name)} of ${table.name}, which is not there`
  const names = table.columns.map((column) => JSON.stringify(column.name)).join(', ')
  throw new ConfigError('CONFIG_UNKNOWN_COLUMN', message, { hint: `its columns are ${names}` })
}

/** format_type() with -1 gives `bpchar`, where without it would give `character`, which is one character long. */
const COLUMNS = `
  with recursive base(attrelid, attnum, typid) as (
    select a.attrelid, a.attnum, a.atttypid
      from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')
       and a.attnum > 0 and not a.attisdropped
    union all
    select base.attrelid, base.attnum, t.typbasetype
      from base join pg_type t on t.oid = base.typid where t.typtype = 'd')
  select n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
         format_type(t.oid, -1),
         case when t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text else '' end
    from base
    join pg_attribute a on a.attrelid = base.attrelid and a.attnum = base.attnum
    join pg_type t on t.oid = base.typid and t.typtype <> 'd'
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
   order by a.attnum`
