import { ConfigError } from '../core/errors.ts'
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

const NAME = String.raw`(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)`
const WORDS = 'double precision|(?:national )?(?:character|char)(?: varying)?|bit varying'
const TYPE = new RegExp(
  String.raw`^(?:${WORDS}|${NAME}(?:\.${NAME})?)(?:\s*\(\s*\d+\s*(?:,\s*-?\d+\s*)?\))?` +
    String.raw`(?: with(?:out)? time zone)?(?:\s*\[\d*\])*$`,
  'i',
)

/**
 * A text of the user's that is the name of a type and nothing more.
 *
 * Errors: CONFIG_BAD_VALUE.
 */
export function typeName(text: string): string {
  if (TYPE.test(text)) return text
  throw new ConfigError('CONFIG_BAD_VALUE', `${JSON.stringify(text)} is not the name of a type`)
}
