import type { TableName } from '../core/identifier.ts'
import { quoteIdentifier, quoteTable } from '../core/identifier.ts'

/** A column to be: its type is SQL of the user's or of the inference, never of the data. */
export interface ColumnDefinition {
  readonly name: string
  readonly type: string
}

/** The DDL that makes a table for an input. */
export function createTableSql(name: TableName, columns: readonly ColumnDefinition[]): string {
  const lines = columns.map((column) => `  ${quoteIdentifier(column.name)} ${column.type}`)
  return `create table ${quoteTable(name)} (\n${lines.join(',\n')}\n)`
}

const TYPE = /^[a-z_][\w ."]*(\(\s*\d+\s*(,\s*-?\d+\s*)?\))?( with(out)? time zone)?(\[\])?$/i

/** Whether a text of the user's is the name of a type and nothing more. */
export function isTypeName(text: string): boolean {
  return TYPE.test(text)
}
