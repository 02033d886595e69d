import type { Chunk } from './chunk.ts'
import type { Column } from './column.ts'
import type { Result, Row } from './value.ts'

/** A column as stages know it before there are rows. */
export interface ColumnInfo {
  readonly name: string
  /** Name of the type in pg_catalog; null where only the values will tell. */
  readonly type: string | null
  /** Its place in the columns of a chunk. */
  readonly slot: number
}

/**
 * Shows the rows of a chunk, one at a time, as an object whose properties are decoded when they are read.
 *
 * Shape: `row` is one object for all rows, with an own, enumerable getter for each column: `{ ...row }` copies it, and
 *        only a copy outlives the call it was given to.
 */
export class RowReader<R extends object = Row> {
  readonly row: R
  readonly #columns: readonly ColumnInfo[]
  /** By the position of a column, whether its value was ever read. */
  readonly #touched: Uint8Array
  readonly #current: { row: number; columns: Column[] }

  constructor(columns: readonly ColumnInfo[]) {
    this.#columns = columns
    const touched = new Uint8Array(columns.length)
    const current: { row: number; columns: Column[] } = { row: 0, columns: [] }
    // A class of its own: rows of one shape with other getters would be dictionaries to V8, a read of which costs thrice.
    const row = new (class Row {})()
    columns.forEach(({ name }, i) => {
      Object.defineProperty(row, name, {
        enumerable: true,
        get: (): Result => {
          touched[i] = 1
          return current.columns[i]!.value(current.row)
        },
      })
    })
    this.row = row as R
    this.#touched = touched
    this.#current = current
  }

  /** Goes on with the rows of a chunk. */
  enter(chunk: Chunk): void {
    // Into the same array, not map(): see valueArrays().
    const { columns } = this.#current
    for (let i = 0; i < this.#columns.length; i++)
      columns[i] = chunk.columns[this.#columns[i]!.slot]!
  }

  /** Shows a row. */
  at(row: number): R {
    this.#current.row = row
    return this.row
  }

  /** The columns whose values were read so far, for an error to name. */
  touched(): string[] {
    return this.#columns.filter((_, i) => this.#touched[i] === 1).map(({ name }) => name)
  }
}
