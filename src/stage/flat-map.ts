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
          const records: number[] = []
          let filtered = 0
          builder.begin(count)
          for (let i = 0; i < count; i++) {
            const row = selection === null ? i : selection[i]!
            const record = chunk.records === null ? row : chunk.records[row]!
            const before = records.length
            try {
              for (const made of change(reader.at(row))) {
                builder.put(records.length, made as Readonly<Record<string, Result>>)
                records.push(record)
              }
              if (records.length === before) filtered++
            } catch (error) {
              records.length = before
              failRow(report, row, reader, error)
            }
          }
          report.filtered = filtered
          return {
            columns: builder.end(),
            rowCount: records.length,
            selection: null,
            records: Int32Array.from(records),
          }
        },
      }
    },
  }
}
