import { countRows } from '../chunk/chunk.ts'
import { RowReader } from '../chunk/row-reader.ts'
import type { Result, Row } from '../chunk/value.ts'
import { failRow } from './fail-row.ts'
import type { MapOptions } from './map.ts'
import { RowBuilder } from './row-builder.ts'
import { sourceOf, type Stage } from './stage.ts'

/**
 * Replaces each row by those that a function returns: none, one or many.
 *
 * Shape: as map. A row that gives none counts as filtered, each beyond the first as added.
 */
export function flatMap<In extends object = Row, Out extends object = In>(
  change: (row: In) => Iterable<Out>,
  options: MapOptions = {},
): Stage<In, Out> {
  return {
    name: 'flatMap',
    identity: [sourceOf(change), options.columns ?? null],
    wire: null,
    bind(input, newSlot) {
      const reader = new RowReader<In>(input)
      const builder = new RowBuilder(input, options.columns, newSlot)
      return {
        columns: builder.columns,
        apply(chunk, report) {
          reader.enter(chunk)
          const { selection } = chunk
          const count = countRows(chunk)
          const madeOf: number[] = []
          let filtered = 0
          builder.begin(count)
          for (let i = 0; i < count; i++) {
            const row = selection === null ? i : selection[i]!
            const before = madeOf.length
            try {
              for (const made of change(reader.at(row))) {
                builder.put(madeOf.length, made as Readonly<Record<string, Result>>)
                madeOf.push(row)
              }
              if (madeOf.length === before) filtered++
            } catch (error) {
              madeOf.length = before
              failRow(report, row, reader, error)
            }
          }
          const rows = Int32Array.from(madeOf)
          const { records } = chunk
          report.filtered = filtered
          report.madeOf = rows
          return {
            columns: builder.end(),
            rowCount: rows.length,
            selection: null,
            records: records === null ? rows : rows.map((row) => records[row]!),
          }
        },
      }
    },
  }
}
