import { RowReader } from '../chunk/row-reader.ts'
import type { Row } from '../chunk/value.ts'
import { failRow } from './fail-row.ts'
import { keepRows } from './keep-rows.ts'
import { sourceOf, type Stage } from './stage.ts'

/** Keeps the rows that a function says true of; the others are counted as filtered. */
export function filter<In extends object = Row>(keep: (row: In) => boolean): Stage<In, In> {
  return {
    name: 'filter',
    identity: sourceOf(keep),
    wire: null,
    bind(columns) {
      const reader = new RowReader<In>(columns)
      return {
        columns,
        apply(chunk, report) {
          reader.enter(chunk)
          return keepRows(
            chunk,
            (row) => keep(reader.at(row)),
            (row, error) => failRow(report, row, reader, error),
          )
        },
      }
    },
  }
}
