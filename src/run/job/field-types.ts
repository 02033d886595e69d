import type { ColumnInfo } from '../../chunk/row-reader.ts'
import {
  type InferredColumn,
  type InferredType,
  inferredType,
  sqlType,
} from '../../copy/infer-types.ts'
import type { AnyStage } from '../../stage/stage.ts'
import { StageList } from '../../stage/stage-list.ts'
import type { Table } from '../../target/catalog.ts'
import type { FieldInfo } from '../lanes/lane-protocol.ts'
import { findColumn } from './mapping.ts'

/** The columns that stages are given. */
export function columnsOf(fields: readonly FieldInfo[]): ColumnInfo[] {
  return fields.map(({ name, type }, slot) => ({ name, type, slot }))
}

/** The columns behind the stages. Errors: CONFIG_* for stages that do not fit the input's columns. */
export function columnsBehind(
  stages: readonly AnyStage[],
  fields: readonly FieldInfo[],
): readonly ColumnInfo[] {
  return new StageList(stages, columnsOf(fields)).columns
}

/** Fields whose types somebody has given; the others are text. */
export function givenFields(
  names: readonly string[],
  given: Readonly<Record<string, string>>,
): FieldInfo[] {
  return names.map((name) => {
    const type = Object.hasOwn(given, name) ? given[name]! : 'text'
    return { name, type: catalogName(type) }
  })
}

/** The types of the fields of an input whose types were inferred; `given` ones go first. */
export function inferredFields(
  names: readonly string[],
  inferred: readonly InferredColumn[],
  given: Readonly<Record<string, string>>,
): FieldInfo[] {
  return names.map((name, i) => {
    const type = Object.hasOwn(given, name) ? given[name]! : sqlType(inferred[i]?.type ?? 'none')
    return { name, type: catalogName(type) }
  })
}

/**
 * The types of the fields of an input for a table that is there: a field has the type of the column it ends up in, else
 * that of the column of its name, else the given one; text when there is none.
 */
export function tableFields(
  names: readonly string[],
  table: Table,
  stages: readonly AnyStage[],
  given: Readonly<Record<string, string>>,
): FieldInfo[] {
  const untyped = names.map((name) => ({ name, type: 'text' }))
  const behind = columnsBehind(stages, untyped)
  return names.map((name, slot) => {
    if (Object.hasOwn(given, name)) return { name, type: catalogName(given[name]!) }
    const out = behind.find((column) => column.slot === slot)?.name ?? name
    return { name, type: findColumn(table, out)?.baseType ?? 'text' }
  })
}

/** The fields with types that hold the values found too. */
export function widenFields(
  fields: readonly FieldInfo[],
  widened: (before: InferredType, field: number) => InferredType,
): FieldInfo[] {
  return fields.map((field, i) => {
    const before = inferredType(CATALOG_WORDS[field.type] ?? sqlName(field.type))
    return before === null ? field : { ...field, type: catalogName(widened(before, i)) }
  })
}

/** The type of a column behind the stages, as one writes it. */
export function sqlName(type: string): string {
  return SQL_NAMES[type] ?? type
}

/** The name in pg_catalog of a type as one writes it, without its modifiers; a type of one's own keeps its name. */
function catalogName(type: string): string {
  const plain = type
    .toLowerCase()
    .replace(/\s*\([^)]*\)/, '')
    .trim()
  return CATALOG_NAMES[plain] ?? plain
}

const CATALOG_NAMES: Readonly<Record<string, string>> = {
  smallint: 'int2',
  integer: 'int4',
  int: 'int4',
  bigint: 'int8',
  real: 'float4',
  float: 'float8',
  'double precision': 'float8',
  boolean: 'bool',
  decimal: 'numeric',
  'character varying': 'varchar',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
}

const SQL_NAMES: Readonly<Record<string, string>> = {
  int4: 'integer',
  int8: 'bigint',
  int2: 'smallint',
  bool: 'boolean',
  float4: 'real',
  float8: 'double precision',
}

/** Where the catalog has other words than the types that are inferred. */
const CATALOG_WORDS: Readonly<Record<string, string>> = {
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
}
