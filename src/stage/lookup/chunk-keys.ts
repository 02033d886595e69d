import { type Chunk, countRows } from '../../chunk/chunk.ts'
import type { Column } from '../../chunk/column.ts'
import type { ColumnInfo } from '../../chunk/row-reader.ts'
import { failRow } from '../fail-row.ts'
import type { StageReport } from '../stage.ts'
import { textOf } from '../text-of.ts'
import { type Key, keyText } from './lookup.ts'

/** The keys of a chunk's rows. */
export interface ChunkKeys {
  /** Each once. */
  readonly keys: readonly Key[]
  /** By row, which of the keys it has; or NO_KEY or FAILED. */
  readonly ofRow: Int32Array
}

/** A part of the key is NULL. */
export const NO_KEY = -1
/** The row was given up: text of it is no value of its column's type. */
export const FAILED = -2

/** Reads the keys of the rows that are in. */
export function readKeys(
  chunk: Chunk,
  infos: readonly ColumnInfo[],
  report: StageReport,
): ChunkKeys {
  const { selection } = chunk
  const count = countRows(chunk)
  const columns = infos.map(({ slot }) => chunk.columns[slot]!)
  const names = infos.map(({ name }) => name)
  const places = new Map<string, number>()
  const keys: Key[] = []
  const ofRow = new Int32Array(chunk.rowCount)
  for (let i = 0; i < count; i++) {
    const row = selection === null ? i : selection[i]!
    try {
      const text = keyTextAt(columns, row)
      let place = text === null ? NO_KEY : places.get(text)
      if (place === undefined) {
        place = keys.length
        places.set(text!, place)
        keys.push({ text: text!, parts: columns.map((column) => column.value(row)!) })
      }
      ofRow[row] = place
    } catch (error) {
      ofRow[row] = FAILED
      failRow(report, row, { touched: () => names }, error)
    }
  }
  return { keys, ofRow }
}

/** Null where a part is NULL. */
function keyTextAt(columns: readonly Column[], row: number): string | null {
  const texts: string[] = []
  for (const column of columns) {
    const value = column.value(row)
    if (value == null) return null
    if (columns.length === 1) return textOf(value)
    texts.push(textOf(value))
  }
  return keyText(texts)
}
