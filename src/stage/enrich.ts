import type { Chunk } from '../chunk/chunk.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import type { Result, Row, Value } from '../chunk/value.ts'
import { columnNamed, putColumn } from './columns.ts'
import { Cache } from './lookup/cache.ts'
import { readKeys } from './lookup/chunk-keys.ts'
import {
  type Enrichment,
  type EnrichPlan,
  type KeyPart,
  planEnrichment,
} from './lookup/enrichment.ts'
import { findAll } from './lookup/find-all.ts'
import type { Found, Lookup } from './lookup/lookup.ts'
import { putFound } from './lookup/put-found.ts'
import type { BoundStage, Stage } from './stage.ts'

type NamesOf<Columns> = Columns extends readonly (infer Name extends string)[]
  ? Name
  : keyof Columns & string

type Enriched<In, Options extends { readonly columns: unknown }> = Omit<
  In,
  NamesOf<Options['columns']>
> & {
  readonly [Name in NamesOf<Options['columns']>]: Options extends { readonly csv: unknown }
    ? string | null
    : Options extends { readonly table: unknown }
      ? Value
      : Result
}

/**
 * Adds columns that are looked up by a key, or replaces those of the same name: from a table of the target database, from a
 * CSV file, or from a function.
 *
 * Shape:  `enrich('zone_id', { table: 'zones', key: 'id', columns: { borough: 'zone_borough' } })` adds `borough`;
 *         `enrich(['country', 'code'], { csv: 'regions.csv', key: ['country', 'code'], columns: ['region'] })`;
 *         `enrich('ip', { lookup: async (ips) => locate(ips), columns: { city: 'text' } })`.
 *         The keys of a chunk, up to some thousand, are looked up together, each once; what a lane knows from chunks before
 *         is not looked up again. A key with a NULL in it finds nothing, and nobody is asked.
 *         Keys are the same when their text is: that of a number, bigint or boolean is JavaScript's, of anything else as
 *         stages see it. A file is compared with that text; a table by the equality of its column's type, which reads the
 *         text as a cast does, so that 7.0 finds a numeric 7. A file's row with a NULL in its key is never found.
 *         A table is read while rows are loaded, over a connection more for each lane: a later run sees what is in it then.
 *         A file belongs to the job by its content.
 * Types:  from a table those of its columns, and the values are what stages see of such columns; from a file text; from a
 *         function what `columns` says, else that of the column it replaces, else what holds the values. Which types the table
 *         has is known when the load begins: before where() or validate() compare its values, cast() names the type.
 * Errors: before anything is loaded CONFIG_UNKNOWN_COLUMN, and CONFIG_BAD_VALUE for a table that is not there, a file that
 *         is too large or has a key twice. For a row STAGE_INVALID when more than one row of the table has its key, or there
 *         is nothing for it and `missing` is 'fail'; STAGE_CAST when the key is no value of the type that the table's is. For
 *         the load STAGE_THREW when the function throws or rejects, STAGE_VALUE for other than one result for each key.
 */
export function enrich<
  In extends object = Row,
  const Options extends Enrichment<KeyPart> = Enrichment<KeyPart>,
>(key: keyof In & string, options: Options): Stage<In, Enriched<In, Options>>
export function enrich<
  In extends object = Row,
  const Options extends Enrichment<readonly KeyPart[]> = Enrichment<readonly KeyPart[]>,
>(key: readonly (keyof In & string)[], options: Options): Stage<In, Enriched<In, Options>>
export function enrich(key: string | readonly string[], options: Enrichment): Stage<never, object> {
  const keys = typeof key === 'string' ? [key] : [...key]
  const plan = planEnrichment(keys, options)
  const { source, identity, wire } = plan
  return {
    name: 'enrich',
    identity,
    wire: wire && { stage: 'enrich', options: { key: keys, options: wire } },
    ...(source.fingerprint && { fingerprint: () => source.fingerprint!() }),
    bind: (input, newSlot) => bindEnrich(plan, keys, input, newSlot),
  }
}

function bindEnrich(
  { source, columns, missing, cache: size }: EnrichPlan,
  keyNames: readonly string[],
  input: readonly ColumnInfo[],
  newSlot: () => number,
): BoundStage {
  const keyColumns = keyNames.map((name) => columnNamed(input, name, 'enrich'))
  const made = columns.map(({ name, type }): ColumnInfo => {
    const before = input.find((column) => column.name === name)
    return { name, type: type(before?.type ?? null), slot: newSlot() }
  })
  const places = { slots: made.map(({ slot }) => slot), keyNames, missing }
  const types = new Map<number, string>()
  const cache = new Cache<Found>(size)
  let lookup: Lookup | null = null
  return {
    columns: made.reduce(putColumn, input),
    types,
    async open(context) {
      lookup = await source.open(context)
      lookup.types?.forEach((type, i) => types.set(made[i]!.slot, type))
    },
    apply(chunk, report) {
      const keys = readKeys(chunk, keyColumns, report)
      const put = (found: readonly Found[]): Chunk => putFound(chunk, keys, found, places, report)
      const found = findAll(keys.keys, lookup!, cache)
      return found instanceof Promise ? found.then(put) : put(found)
    },
    close() {
      lookup?.close?.()
      lookup = null
      return Promise.resolve()
    },
  }
}
