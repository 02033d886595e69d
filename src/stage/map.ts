import { countRows } from '../chunk/chunk.ts'
import { RowReader } from '../chunk/row-reader.ts'
import type { Result, Row } from '../chunk/value.ts'
import { failRow, withoutFailed } from './fail-row.ts'
import { type MadeColumns, RowBuilder } from './row-builder.ts'
import { sourceOf, type Stage } from './stage.ts'

/** The columns of the rows that a function returns, with the names of their types; null for one that the values tell. */
export interface MapOptions {
  readonly columns?: MadeColumns | undefined
}

/**
 * Replaces each row by the object that a function returns.
 *
 * Shape: the columns stay those of the input unless `columns` names others. A key that is missing or undefined is NULL;
 *        a key that is no column makes the row a failure: nothing is dropped in silence.
 */
export function map<In extends object = Row, Out extends object = In>(
  change: (row: In) => Out,
  options: MapOptions = {},
): Stage<In, Out> {
  return {
    name: 'map',
    identity: [sourceOf(change), options.columns ?? null],
    wire: null,
    bind(input, newSlot) {
      const reader = new RowReader<In>(input)
      const builder = new RowBuilder(input, options.columns, newSlot)
      return {
        columns: builder.columns,
        apply(chunk, report) {
          reader.enter(chunk)
          const { selection, rowCount } = chunk
          const count = countRows(chunk)
          builder.begin(rowCount)
          for (let i = 0; i < count; i++) {
            const row = selection === null ? i : selection[i]!
            try {
              builder.put(row, change(reader.at(row)) as Readonly<Record<string, Result>>)
            } catch (error) {
              failRow(report, row, reader, error)
            }
          }
          return withoutFailed({ ...chunk, columns: builder.end() }, report)
        },
      }
    },
  }
}
