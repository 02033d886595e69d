import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Result, Value } from '../../chunk/value.ts'
import { ConfigError } from '../../core/errors.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import type { MadeColumns } from '../row-builder.ts'
import { sourceOf } from '../stage.ts'
import { csvSource } from './csv-source.ts'
import { type AskFunction, functionSource } from './function-source.ts'
import type { LookupSource } from './lookup.ts'
import { tableSource } from './table-source.ts'

/** Columns to add, with the names of those they are taken from; or names that are the same in both. */
export type LookupColumns = Readonly<Record<string, string>> | readonly string[]

/** What becomes of a row for whose key there is nothing: NULL in the columns, a failure, or it is left out. */
export type Missing = 'null' | 'fail' | 'drop'

/** Looks up in a table of the target database. */
export interface TableLookup {
  /** `table` or `schema.table`; the search path decides where no schema is named. A view will do. */
  readonly table: string
  /** The table's columns that the key is compared with; a key is to find one row at most. */
  readonly key: string | readonly string[]
  readonly columns: LookupColumns
  /** 'null' by default. */
  readonly missing?: Missing | undefined
  /** Keys that each lane remembers, found or not; 0 for none beyond a chunk; 100,000 by default. */
  readonly cache?: number | undefined
}

/** Looks up in a CSV file with a header, held in memory. */
export interface CsvLookup {
  /** Its path, from the current directory; beside a module, `new URL('zones.csv', import.meta.url)`. */
  readonly csv: string | URL
  /** The file's columns that the key is compared with, as text; no key may be there twice. */
  readonly key: string | readonly string[]
  readonly columns: LookupColumns
  /** 'null' by default. */
  readonly missing?: Missing | undefined
  /** What is known of its dialect; the rest is found out, and blank lines are skipped. */
  readonly dialect?: Omit<Partial<CsvDialect>, 'header'> | undefined
  /** Bytes of the file, at most; 64 MiB by default. */
  readonly maxBytes?: number | undefined
}

/** Looks up by a function. */
export interface FunctionLookup<Key = never> {
  /**
   * Given the distinct keys of a chunk that are not known yet: values as stages see them, arrays of values where the key is
   * of several columns. Gives an object by column for each, in their order, or null for one that is not found.
   */
  readonly lookup: (keys: readonly Key[]) => LookupResults | Promise<LookupResults>
  /** Names of the columns that it gives; with the names of their types, null for one that the values tell. */
  readonly columns: MadeColumns
  /** 'null' by default. */
  readonly missing?: Missing | undefined
  /** Keys that each lane remembers, found or not; 0 for none beyond a chunk; 100,000 by default. */
  readonly cache?: number | undefined
}

export type LookupResults = readonly (Readonly<Record<string, Result>> | null | undefined)[]

/** What a function is given of a key, by column; never NULL. */
export type KeyPart = NonNullable<Value>

export type Enrichment<Key = never> = TableLookup | CsvLookup | FunctionLookup<Key>

/** How an enrichment is done. */
export interface EnrichPlan {
  readonly source: LookupSource
  readonly columns: readonly MadeColumn[]
  readonly missing: Missing
  /** Keys to remember. */
  readonly cache: number
  /** What decides about the values, beside the content of a file. */
  readonly identity: unknown
  /** The enrichment as plain data; null for a function. */
  readonly wire: object | null
}

/** A column to be. */
interface MadeColumn {
  readonly name: string
  /** Its type, given that of a column it replaces; null where only the open lookup or the values tell. */
  readonly type: (before: string | null) => string | null
}

const CACHED_KEYS = 100_000
const MEBIBYTE = 1 << 20

/** Plans an enrichment by a key of these columns. Errors: CONFIG_BAD_VALUE. */
export function planEnrichment(keys: readonly string[], options: Enrichment): EnrichPlan {
  const { missing = 'null' } = options
  if (!['null', 'fail', 'drop'].includes(missing)) {
    throw badOption(`missing is ${JSON.stringify(missing)}, expected null, fail or drop`)
  }
  if ('table' in options) return planTable(keys, options, missing)
  if ('csv' in options) return planCsv(keys, options, missing)
  if ('lookup' in options) return planFunction(keys, options, missing)
  throw badOption('nothing says where to look up: a table, a csv, or a lookup function')
}

function planTable(keys: readonly string[], options: TableLookup, missing: Missing): EnrichPlan {
  const { table } = options
  const key = keyColumns(keys, options.key)
  const columns = entriesOf(options.columns)
  const cache = cacheOf(options)
  const identity = { keys, table, key, columns, missing }
  return {
    source: tableSource(table, key, Object.values(columns)),
    columns: Object.keys(columns).map((name) => ({ name, type: () => null })),
    missing,
    cache,
    identity,
    wire: { table, key, columns, missing, cache },
  }
}

/** The path is no part of the identity: what is in the file decides. */
function planCsv(keys: readonly string[], options: CsvLookup, missing: Missing): EnrichPlan {
  const { csv, dialect = {}, maxBytes = 64 * MEBIBYTE } = options
  const path = csv instanceof URL ? fileURLToPath(csv) : resolve(csv)
  const key = keyColumns(keys, options.key)
  const columns = entriesOf(options.columns)
  requireCount('maxBytes', maxBytes)
  return {
    source: csvSource({ path, keys: key, columns: Object.values(columns), dialect, maxBytes }),
    columns: Object.keys(columns).map((name) => ({ name, type: () => 'text' })),
    missing,
    // All that can be known is in memory.
    cache: 0,
    identity: { keys, csv: dialect, key, columns, missing },
    wire: { csv: path, key, columns, missing, dialect, maxBytes },
  }
}

function planFunction(
  keys: readonly string[],
  options: FunctionLookup,
  missing: Missing,
): EnrichPlan {
  const { lookup, columns } = options
  const types: Readonly<Record<string, string | null>> = isList(columns)
    ? Object.fromEntries(columns.map((name) => [name, null]))
    : columns
  const names = Object.keys(types)
  const stage = `enrich (${keys.join(', ')})`
  return {
    source: functionSource(lookup as AskFunction, names, stage),
    columns: names.map((name) => ({ name, type: (before) => types[name] ?? before })),
    missing,
    cache: cacheOf(options),
    identity: { keys, lookup: sourceOf(lookup), columns, missing },
    wire: null,
  }
}

/** By the name of the column to be, that of the one it is taken from. */
function entriesOf(columns: LookupColumns): Readonly<Record<string, string>> {
  return isList(columns) ? Object.fromEntries(columns.map((name) => [name, name])) : { ...columns }
}

function isList<T extends object>(given: T | readonly string[]): given is readonly string[] {
  return Array.isArray(given)
}

function keyColumns(keys: readonly string[], key: string | readonly string[]): readonly string[] {
  const columns = typeof key === 'string' ? [key] : [...key]
  if (columns.length === keys.length) return columns
  const counts = `${String(keys.length)} columns are looked up by ${String(columns.length)}`
  throw badOption(`${counts}: name one column of the key for each`)
}

function cacheOf({ cache = CACHED_KEYS }: { readonly cache?: number | undefined }): number {
  requireCount('cache', cache)
  return cache
}

function requireCount(option: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw badOption(`${option} is ${String(value)}, expected a whole number from 0`)
}

function badOption(what: string): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `enrich: ${what}`)
}
