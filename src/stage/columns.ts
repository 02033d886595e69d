import type { ColumnInfo } from '../chunk/row-reader.ts'
import { ConfigError } from '../core/errors.ts'

/** The column of a name. Errors: CONFIG_UNKNOWN_COLUMN, naming the stage and the columns there are. */
export function columnNamed(
  columns: readonly ColumnInfo[],
  name: string,
  stage: string,
): ColumnInfo {
  const found = columns.find((column) => column.name === name)
  if (found !== undefined) return found
  const message = `${stage} names column ${JSON.stringify(name)}, which is not there`
  const names = columns.map((column) => JSON.stringify(column.name)).join(', ')
  throw new ConfigError('CONFIG_UNKNOWN_COLUMN', message, { hint: `its columns are ${names}` })
}

/** The columns with one put in the place of that of the same name, or behind the others. */
export function putColumn(columns: readonly ColumnInfo[], column: ColumnInfo): ColumnInfo[] {
  const at = columns.findIndex(({ name }) => name === column.name)
  return at < 0 ? [...columns, column] : columns.with(at, column)
}
