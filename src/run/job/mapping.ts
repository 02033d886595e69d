import type { ColumnInfo } from '../../chunk/row-reader.ts'
import { kindOf } from '../../copy/kinds.ts'
import type { CopyColumn } from '../../copy/rows.ts'
import { ConfigError } from '../../core/errors.ts'
import type { Table, TableColumn } from '../../target/catalog.ts'

/** Which field goes into which column. */
export interface Mapping {
  /** Column names, in the order of the COPY. */
  readonly names: readonly string[]
  readonly columns: readonly CopyColumn[]
  /** Fields of the input that the server computes itself. */
  readonly leftOut: readonly string[]
}

/**
 * Matches the input's fields to the table's columns: by name (exactly, then regardless of case, then regardless of
 * what is not a letter or digit), or by position for an input without names.
 *
 * Errors: CONFIG_UNKNOWN_COLUMN for a field that no column takes, CONFIG_MISSING_COLUMN for a column that must have a
 *         value and gets none, each names all of them; CONFIG_MISSING_COLUMN too when nothing is left to be copied.
 */
export function mapColumns(table: Table, fields: readonly string[] | number): Mapping {
  const found = typeof fields === 'number' ? byPosition(table, fields) : byName(table, fields)
  requireValues(table, found)
  const taken = found.flatMap((column, field) => (column === null ? [] : [{ column, field }]))
  const copied = taken.filter(({ column }) => !column.generated)
  if (copied.length === 0) throw nothingToFill(table)
  return {
    names: copied.map(({ column }) => column.name),
    columns: copied.map(({ column, field }) => ({ slot: field, kind: kindOf(column.baseType) })),
    leftOut: taken.filter(({ column }) => column.generated).map(({ column }) => column.name),
  }
}

/**
 * Maps the columns behind the stages, in the order of their slots.
 *
 * Why:    the fastest roads take fields in the order of the file; what stages gave comes behind.
 * Errors: as mapColumns.
 */
export function mapInSlotOrder(
  table: Table,
  columns: readonly ColumnInfo[],
  { byPosition }: { readonly byPosition: boolean },
): Mapping {
  const names = columns.map(({ name }) => name)
  const mapping = mapColumns(table, byPosition ? names.length : names)
  const order = mapping.columns
    .map(({ slot, kind }, i) => ({ slot: columns[slot]!.slot, kind, name: mapping.names[i]! }))
    .sort((a, b) => a.slot - b.slot)
  return {
    ...mapping,
    names: order.map(({ name }) => name),
    columns: order.map(({ slot, kind }) => ({ slot, kind })),
  }
}

function byPosition(table: Table, count: number): TableColumn[] {
  const columns = table.columns.filter((column) => !column.generated)
  if (columns.length !== count) {
    const message = `the input has ${String(count)} fields without names, ${table.schema}.${table.table} has ${String(columns.length)} columns to fill`
    throw new ConfigError('CONFIG_MISSING_COLUMN', message, {
      hint: 'name the columns of the fields with --columns a,b,c',
    })
  }
  return columns
}

function byName(table: Table, fields: readonly string[]): (TableColumn | null)[] {
  const found = fields.map((field) => findColumn(table, field))
  const unknown = fields.filter((_, i) => found[i] === undefined)
  if (unknown.length > 0) {
    const message = `${table.schema}.${table.table} has no column for ${list(unknown)}`
    throw new ConfigError('CONFIG_UNKNOWN_COLUMN', message, {
      hint: 'add the columns to the table, or name the fields with --columns',
    })
  }
  const columns = found.map((column) => column ?? null)
  const twice = columns.filter((column, i) => columns.indexOf(column) !== i)
  if (twice.length > 0) {
    const message = `more than one field of the input goes to ${list(twice.map((c) => c?.name ?? ''))}`
    throw new ConfigError('CONFIG_UNKNOWN_COLUMN', message, {
      hint: 'name the fields with --columns',
    })
  }
  return columns
}

function nothingToFill({ schema, table }: Table): ConfigError {
  return new ConfigError(
    'CONFIG_MISSING_COLUMN',
    `there is nothing to put into ${schema}.${table}`,
    {
      hint: 'the input must have at least one field for a column that the server does not compute',
    },
  )
}

/** The column that takes a field of a name, if there is one. */
export function findColumn(table: Table, field: string): TableColumn | undefined {
  const { columns } = table
  return (
    columns.find((column) => column.name === field) ??
    only(columns.filter((column) => column.name.toLowerCase() === field.toLowerCase())) ??
    only(
      columns.filter((column) => plain(column.name) !== '' && plain(column.name) === plain(field)),
    )
  )
}

function only(columns: readonly TableColumn[]): TableColumn | undefined {
  return columns.length === 1 ? columns[0] : undefined
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '')
}

function requireValues(table: Table, found: readonly (TableColumn | null)[]): void {
  const missing = table.columns.filter(
    (column) =>
      column.notNull && !column.hasDefault && !column.generated && !found.includes(column),
  )
  if (missing.length === 0) return
  const message = `the input has no field for ${list(missing.map((c) => c.name))}, which must not be null and has no default`
  throw new ConfigError('CONFIG_MISSING_COLUMN', message, {
    hint: 'give the column a default, or name the fields with --columns',
  })
}

function list(names: readonly string[]): string {
  return `column${names.length === 1 ? '' : 's'} ${names.map((name) => JSON.stringify(name)).join(', ')}`
}
