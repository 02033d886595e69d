import { countRows } from '../chunk/chunk.ts'
import { RowReader } from '../chunk/row-reader.ts'
import type { Row } from '../chunk/value.ts'
import { failRow } from './fail-row.ts'
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
          const { selection } = chunk
          const count = countRows(chunk)
          const kept = new Int32Array(count)
          let length = 0
          for (let i = 0; i < count; i++) {
            const row = selection === null ? i : selection[i]!
            try {
              if (keep(reader.at(row))) kept[length++] = row
            } catch (error) {
              failRow(report, row, reader, error)
            }
          }
          return length === count ? chunk : { ...chunk, selection: kept.subarray(0, length) }
        },
      }
    },
  }
}
