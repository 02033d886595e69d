import { type Column, ValueColumn, valueArrays } from '../chunk/column.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import type { Result } from '../chunk/value.ts'

/** Names of columns; with the names of their types, null for one that the values will tell. */
export type MadeColumns = Readonly<Record<string, string | null>> | readonly string[]

/** Takes rows as objects and puts their values into columns. */
export class RowBuilder {
  readonly columns: readonly ColumnInfo[]
  readonly #names: readonly string[]
  readonly #known: ReadonlySet<string>
  #values: Result[][] = []

  constructor(input: readonly ColumnInfo[], made: MadeColumns | undefined, newSlot: () => number) {
    this.columns = infosOf(input, made).map((info) => ({ ...info, slot: newSlot() }))
    this.#names = this.columns.map(({ name }) => name)
    this.#known = new Set(this.#names)
  }

  /** Begins a chunk of about so many rows. */
  begin(rowCount: number): void {
    this.#values = valueArrays(this.#names.length, rowCount)
  }

  /** Errors: a TypeError for what is no object, or has a key that is no column. */
  put(row: number, made: Readonly<Record<string, Result>>): void {
    if (typeof made !== 'object' || made === null) throw new NotARow('it returned no object')
    const names = this.#names
    let found = 0
    for (let c = 0; c < names.length; c++) {
      const value = made[names[c]!]
      if (value !== undefined) found++
      this.#values[c]![row] = value
    }
    if (found < names.length || Object.keys(made).length > found) this.#requireKnown(made)
  }

  /** The columns of the chunk, by slot. */
  end(): Column[] {
    const columns: Column[] = []
    this.columns.forEach(({ slot }, c) => (columns[slot] = new ValueColumn(this.#values[c]!)))
    return columns
  }

  #requireKnown(made: object): void {
    for (const name of Object.keys(made)) {
      if (!this.#known.has(name)) {
        const key = JSON.stringify(name)
        throw new NotARow(`it returned a key that is no column, ${key}: name it in \`columns\``)
      }
    }
  }
}

/** What a function returned is no row; the message holds no values. */
export class NotARow extends TypeError {}

function infosOf(
  input: readonly ColumnInfo[],
  made: MadeColumns | undefined,
): readonly { name: string; type: string | null }[] {
  if (made === undefined) return input.map(({ name, type }) => ({ name, type }))
  const before = new Map(input.map(({ name, type }) => [name, type]))
  const entries = Array.isArray(made)
    ? (made as readonly string[]).map((name) => [name, null] as const)
    : Object.entries(made as Readonly<Record<string, string | null>>)
  return entries.map(([name, type]) => ({ name, type: type ?? before.get(name) ?? null }))
}
