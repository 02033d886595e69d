import { textDecoderOf } from '../../chunk/decode.ts'
import { TargetError } from '../../core/errors.ts'
import { parseTableName, quoteIdentifier } from '../../core/identifier.ts'
import type { StageContext } from '../stage.ts'
import { textOf } from '../text-of.ts'
import { type Found, type Key, type LookupSource, Refusal } from './lookup.ts'
import { findTable, type FoundColumn, foundColumn, type FoundTable } from './table-columns.ts'

/**
 * Looks up in a table of the target database, by one query for all keys that are asked for at a time.
 *
 * Shape:  a key is compared by the equality of the type that the table's column has. The values are those that stages see
 *         of a column of their type.
 * Errors: CONFIG_BAD_VALUE when there is no such table, CONFIG_UNKNOWN_COLUMN; TARGET_REFUSED for a table that may not be
 *         read, and for keys of a type that has no equality.
 */
export function tableSource(
  given: string,
  keys: readonly string[],
  columns: readonly string[],
): LookupSource {
  const name = parseTableName(given)
  return {
    async open(context) {
      const table = await findTable(context, name)
      const keyColumns = keys.map((key) => foundColumn(table, key))
      const made = columns.map((column) => foundColumn(table, column))
      const query = new TableQuery(context, table, keyColumns, made)
      // Nothing is asked for, but the server looks whether it may be.
      await query.ask([])
      return { types: made.map(({ type }) => type), find: (wanted) => query.find(wanted) }
    },
  }
}

/** The query of a table. */
class TableQuery {
  readonly #context: StageContext
  readonly #table: FoundTable
  readonly #keys: readonly FoundColumn[]
  readonly #made: readonly FoundColumn[]
  readonly #sql: string

  constructor(
    context: StageContext,
    table: FoundTable,
    keys: readonly FoundColumn[],
    made: readonly FoundColumn[],
  ) {
    this.#context = context
    this.#table = table
    this.#keys = keys
    this.#made = made
    this.#sql = querySql(table, keys, made)
  }

  /** Keys that are no values of their types, or have many rows, are found by asking for ever fewer. */
  async find(keys: readonly Key[]): Promise<readonly Found[]> {
    try {
      const found = await this.ask(keys)
      if (found !== null) return found
    } catch (error) {
      if (!isBadValue(error)) throw error
      if (keys.length === 1) {
        const types = this.#keys.map(({ keyType }) => keyType).join(', ')
        const reason = `its key is no ${types}, which the key of ${this.#table.name} is`
        return [new Refusal('STAGE_CAST', reason)]
      }
    }
    if (keys.length === 1) {
      const reason = `more than one row of ${this.#table.name} has its key`
      return [new Refusal('STAGE_INVALID', reason)]
    }
    const half = keys.length >> 1
    const first = await this.find(keys.slice(0, half))
    return [...first, ...(await this.find(keys.slice(half)))]
  }

  /** Null when some key has more than one row. */
  async ask(keys: readonly Key[]): Promise<readonly Found[] | null> {
    const parts = this.#keys.map((_, part) => keys.map((key) => textOf(key.parts[part]!)))
    const rows = await this.#context.query(this.#sql, [...parts, String(keys.length + 1)])
    if (rows.length > keys.length) return null
    const decoders = this.#made.map(({ baseType }) => textDecoderOf(baseType))
    const found = new Array<Found>(keys.length).fill(null)
    for (const [n, matches, ...texts] of rows) {
      if (matches === '0') continue
      found[Number(n) - 1] = texts.map((text, i) => (text === null ? null : decoders[i]!(text)))
    }
    return found
  }
}

/**
 * A row for each key, and more for one that has more than one match.
 *
 * Why: an inner join would leave out to cast keys that it can do without, and a bad one would be noticed by some plans only.
 *      A key may have any number of matches: one row more than there are keys tells enough.
 */
function querySql(
  table: FoundTable,
  keys: readonly FoundColumn[],
  made: readonly FoundColumn[],
): string {
  const columns = keys.map(({ name }) => `t.${quoteIdentifier(name)}`)
  const values = made.map(({ name }) => `, t.${quoteIdentifier(name)}::text`)
  const arrays = keys.map((_, i) => `pg_catalog.unnest($${String(i + 1)}::text[])`)
  const names = keys.map((_, i) => `key${String(i + 1)}`)
  const casts = keys.map(({ keyType }, i) => `${names[i]!}::${keyType} as ${names[i]!}`)
  const equal = columns.map((column, i) => `${column} = k.${names[i]!}`)
  return `
    select k.n, pg_catalog.num_nonnulls(${columns[0]!})${values.join('')}
      from (select n, ${casts.join(', ')}
              from rows from (${arrays.join(', ')}) with ordinality as given(${names.join(', ')}, n)
            offset 0) k
      left join ${table.name} t on ${equal.join(' and ')}
     limit $${String(keys.length + 1)}::int8`
}

/** Whether the server could not read a key: SQLSTATEs of class 22, data exception. */
function isBadValue(error: unknown): boolean {
  return error instanceof TargetError && error.server.sqlstate?.startsWith('22') === true
}
