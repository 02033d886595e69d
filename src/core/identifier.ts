import { ConfigError } from './errors.ts'

/** PostgreSQL's NAMEDATALEN, less the terminating NUL. The server would cut a longer name without a word. */
const LONGEST = 63

/**
 * Quotes a name for SQL. The one place where names become SQL.
 *
 * Errors: CONFIG_BAD_VALUE for names that PostgreSQL cannot hold: empty, with a NUL byte, over 63 bytes.
 */
export function quoteIdentifier(name: string): string {
  const length = Buffer.byteLength(name)
  if (length === 0 || length > LONGEST || name.includes('\0')) {
    const what = name.includes('\0') ? 'with a NUL byte' : `of ${String(length)} bytes`
    throw new ConfigError('CONFIG_BAD_VALUE', `a name ${what} cannot be used: 1 to 63 bytes`, {
      hint: 'name the columns yourself with --columns, or the table with --table',
    })
  }
  return `"${name.replaceAll('"', '""')}"`
}

export interface TableName {
  readonly schema: string
  readonly table: string
}

export function quoteTable({ schema, table }: TableName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`
}

/**
 * Splits `schema.table`; parts may be in double quotes. The schema is null where none is named.
 *
 * Errors: CONFIG_BAD_VALUE.
 */
export function parseTableName(text: string): { schema: string | null; table: string } {
  const parts = [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^."]+))\s*(?:\.|$)/gy)]
  const names = parts.map((part) => part[1]?.replaceAll('""', '"') ?? part[2] ?? '')
  const consumed = parts.reduce((sum, part) => sum + part[0].length, 0)
  const [first, second] = names
  if (first === undefined || names.length > 2 || consumed !== text.length || text.endsWith('.')) {
    throw new ConfigError('CONFIG_BAD_VALUE', `${JSON.stringify(text)} is not a table name`, {
      hint: 'table, or schema.table; names with dots in double quotes',
    })
  }
  return second === undefined ? { schema: null, table: first } : { schema: first, table: second }
}
