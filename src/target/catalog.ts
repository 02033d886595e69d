import type { Client } from 'pg'
import type { TableName } from '../core/identifier.ts'

/** A column of a table, as the catalog knows it. */
export interface TableColumn {
  readonly name: string
  /** As one would write it: `numeric(12,2)`. */
  readonly type: string
  /** Name in pg_catalog of the type, or of what a domain stands on; 'enum' for any enum; '' for the rest. */
  readonly baseType: string
  readonly notNull: boolean
  readonly hasDefault: boolean
  /** The server computes it: a generated column, or an identity. */
  readonly generated: boolean
}

/** A table that rows can be copied into. */
export interface Table extends TableName {
  readonly oid: number
  /** Changes when TRUNCATE or a rewrite gives the table new storage; 0 for a partitioned table. */
  readonly fileNode: number
  /** A crash of the server empties it. */
  readonly isUnlogged: boolean
  readonly columns: readonly TableColumn[]
}

/** Looks a table up; null when there is none. Views and foreign tables that take COPY are tables here. */
export async function findTable(client: Client, name: TableName): Promise<Table | null> {
  const found = await client.query<{ oid: number; file_node: number; unlogged: boolean }>(TABLE, [
    name.schema,
    name.table,
  ])
  const row = found.rows[0]
  if (row === undefined) return null
  const columns = await client.query<ColumnRow>(COLUMNS, [row.oid])
  return {
    schema: name.schema,
    table: name.table,
    oid: row.oid,
    fileNode: row.file_node,
    isUnlogged: row.unlogged,
    columns: columns.rows.map((column) => ({
      name: column.name,
      type: column.type,
      baseType: column.base_type,
      notNull: column.not_null,
      hasDefault: column.has_default,
      generated: column.generated,
    })),
  }
}

/** Where an unqualified table name is: the schema of the search path that has it, else the first. */
export async function resolveSchema(client: Client, table: string): Promise<string> {
  const result = await client.query<{ schema: string | null }>(SCHEMA_OF, [table])
  return result.rows[0]?.schema ?? 'public'
}

const SCHEMA_OF = `
  select coalesce(
    (select n.nspname::text
       from pg_catalog.unnest(current_schemas(false)) with ordinality s(name, place)
       join pg_namespace n on n.nspname = s.name
       join pg_class c on c.relnamespace = n.oid and c.relname = $1 and c.relkind in ('r', 'p', 'v', 'f')
      order by s.place limit 1),
    current_schema()::text) as schema`

const TABLE = `
  select c.oid::int8::float8 as oid, coalesce(pg_catalog.pg_relation_filenode(c.oid), 0)::int8::float8 as file_node,
         c.relpersistence = 'u' as unlogged
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p', 'v', 'f')`

interface ColumnRow {
  name: string
  type: string
  base_type: string
  not_null: boolean
  has_default: boolean
  generated: boolean
}

const COLUMNS = `
  with recursive base(attnum, typid) as (
    select attnum, atttypid from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped
    union all
    select base.attnum, t.typbasetype from base join pg_type t on t.oid = base.typid where t.typtype = 'd')
  select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
         case when t.typtype = 'e' then 'enum'
              when t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text
              else '' end as base_type,
         a.attnotnull or d.typnotnull as not_null,
         a.atthasdef or d.typdefault is not null as has_default,
         a.attgenerated <> '' or a.attidentity <> '' as generated
    from pg_attribute a
    join pg_type d on d.oid = a.atttypid
    join base on base.attnum = a.attnum
    join pg_type t on t.oid = base.typid and t.typtype <> 'd'
   where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
   order by a.attnum`
