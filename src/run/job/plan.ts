import { basename } from 'node:path'
import type { Client } from 'pg'
import type { ColumnInfo } from '../../chunk/row-reader.ts'
import { type InferredColumn, sqlType } from '../../copy/infer-types.ts'
import { ConfigError, TargetError } from '../../core/errors.ts'
import type { TableName } from '../../core/identifier.ts'
import { findTable, resolveSchema, type Table } from '../../target/catalog.ts'
import { sqlName } from './field-types.ts'
import { type ColumnDefinition, createTableSql, typeName } from '../../target/create-table.ts'
import { columnNames, type CsvStart } from '../input/header.ts'

/** The table for an input that names none: its file name up to the first dot, as a plain SQL name. */
export function tableNameOf(path: string): string {
  const name = basename(path)
    .replace(/\..*$/s, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_]+/gu, '_')
    .replace(/^_+|_+$/g, '')
  return name === '' ? 'data' : name
}

/** Resolves where a table is, or would be created. */
export async function resolveTable(
  client: Client,
  { schema, table }: { schema: string | null; table: string },
): Promise<TableName> {
  return { schema: schema ?? (await resolveSchema(client, table)), table }
}

/**
 * The columns of a table to be created: those behind the stages. A field that passes untouched has the type that was
 * inferred for it.
 *
 * Errors: CONFIG_UNKNOWN_COLUMN for a type given to a column that is not there, CONFIG_BAD_VALUE for what is no type.
 */
export function defineColumns(
  start: CsvStart,
  inferred: readonly InferredColumn[],
  columns: readonly ColumnInfo[],
  types: Readonly<Record<string, string>>,
): ColumnDefinition[] {
  const fields = columnNames(start)
  const names = new Set([...fields, ...columns.map(({ name }) => name)])
  for (const [name, type] of Object.entries(types)) {
    if (!names.has(name)) {
      throw new ConfigError(
        'CONFIG_UNKNOWN_COLUMN',
        `--types names column ${JSON.stringify(name)}, which the input does not have`,
        { hint: `its columns are ${[...names].map((n) => JSON.stringify(n)).join(', ')}` },
      )
    }
    typeName(type)
  }
  const given = (name: string | undefined): string | undefined =>
    name !== undefined && Object.hasOwn(types, name) ? types[name] : undefined
  return columns.map(({ name, type, slot }) => {
    const field = fields[slot]
    const found =
      field === undefined ? type && sqlName(type) : sqlType(inferred[slot]?.type ?? 'none')
    return { name, type: given(name) ?? given(field) ?? found ?? 'text' }
  })
}

/** Creates the table; what the server says of it names the DDL. */
export async function createTable(
  client: Client,
  name: TableName,
  columns: readonly ColumnDefinition[],
): Promise<{ table: Table; ddl: string }> {
  const ddl = createTableSql(name, columns)
  await client.query(ddl)
  const table = await findTable(client, name)
  if (table === null) {
    throw new TargetError('TARGET_NO_TABLE', `${name.schema}.${name.table} was created and is gone`)
  }
  return { table, ddl }
}

/** The error for a table that is not there and may not be created. */
export function noTable(name: TableName): TargetError {
  return new TargetError('TARGET_NO_TABLE', `there is no table ${name.schema}.${name.table}`, {
    hint: 'leave --no-create out to have it created with inferred types; `millrace inspect` shows the DDL',
  })
}
