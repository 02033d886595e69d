import { countRows, type Chunk } from '../chunk/chunk.ts'
import { ValueColumn, valueArrays } from '../chunk/column.ts'
import { type ColumnInfo, RowReader } from '../chunk/row-reader.ts'
import type { Result, Row } from '../chunk/value.ts'
import { putColumn } from './columns.ts'
import { failRow, withoutFailed } from './fail-row.ts'
import { sourceOf, type Stage } from './stage.ts'

/** How a column is computed; with the name of its type, for a table that is created. */
export type Derivation<In extends object, Value = Result> =
  ((row: In) => Value) | { readonly type: string; readonly value: (row: In) => Value }

type DerivedBy<Made> = {
  readonly [Name in keyof Made]: Made[Name] extends Derivation<never, infer Value> ? Value : never
}

/**
 * Adds columns, or replaces those of the same name, each computed from the row as it was before the stage.
 *
 * Shape: `derive({ total: (row) => row.price * row.count })`. A column that is replaced keeps its type; a new one has
 *        the type that is given, else one that holds what the function returns.
 */
export function derive<
  In extends object = Row,
  Made extends Readonly<Record<string, Result>> = Readonly<Record<string, Result>>,
>(columns: {
  readonly [Name in keyof Made]: Derivation<In, Made[Name]>
}): Stage<In, Omit<In, keyof Made> & Made>
/** Functions whose row has a type of its own say what the stage is given. */
export function derive<In extends object, Made extends Readonly<Record<string, Derivation<In>>>>(
  columns: Made & Readonly<Record<string, Derivation<In>>>,
): Stage<In, Omit<In, keyof Made> & DerivedBy<Made>>
export function derive<In extends object>(
  columns: Readonly<Record<string, Derivation<In>>>,
): Stage<In, object> {
  const derivations = Object.entries(columns).map(([name, derivation]) =>
    typeof derivation === 'function'
      ? { name, type: null, value: derivation }
      : { name, type: derivation.type, value: derivation.value },
  )
  const functions = derivations.map(({ value }) => value)
  return {
    name: 'derive',
    identity: derivations.map(({ name, value }) => [name, sourceOf(value)]),
    wire: null,
    bind(input, newSlot) {
      const reader = new RowReader<In>(input)
      const made = derivations.map(({ name, type }): ColumnInfo => {
        const before = input.find((column) => column.name === name)
        return { name, type: type ?? before?.type ?? null, slot: newSlot() }
      })
      return {
        columns: made.reduce(putColumn, input),
        apply(chunk, report): Chunk {
          reader.enter(chunk)
          const { selection, rowCount } = chunk
          const count = countRows(chunk)
          const values = valueArrays(functions.length, rowCount)
          for (let i = 0; i < count; i++) {
            const row = selection === null ? i : selection[i]!
            try {
              const given = reader.at(row)
              for (let c = 0; c < functions.length; c++) values[c]![row] = functions[c]!(given)
            } catch (error) {
              failRow(report, row, reader, error)
            }
          }
          const columns = [...chunk.columns]
          made.forEach(({ slot }, c) => (columns[slot] = new ValueColumn(values[c]!)))
          return withoutFailed({ ...chunk, columns }, report)
        },
      }
    },
  }
}
