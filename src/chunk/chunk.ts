import { type Column, FieldColumn, FieldText } from './column.ts'
import { type Decode, decodeText } from './decode.ts'
import type { Fields } from './fields.ts'

/**
 * The rows of a range on their way through the stages: columns over the same rows, and which of the rows are in.
 *
 * Shape: `columns` by slot: those of the input's fields first, then those of the stages. `selection` is ascending, null
 *        while every row is in. `records` tells which record of the range a row is made of, null while row r is record r.
 * Life:  as its Fields.
 */
export interface Chunk {
  readonly columns: readonly Column[]
  readonly rowCount: number
  readonly selection: Int32Array | null
  readonly records: Int32Array | null
}

/** A chunk of untouched fields; `decoders` by field, text where there is none; `text` of the range it is a part of. */
export function chunkOf(
  fields: Fields,
  decoders: readonly Decode[] = [],
  text = new FieldText(fields),
): Chunk {
  const columns = Array.from(
    { length: fields.fieldCount },
    (_, field) => new FieldColumn(fields, text, field, decoders[field] ?? decodeText),
  )
  return { columns, rowCount: fields.rowCount, selection: null, records: null }
}

/** Rows that are in. */
export function countRows({ selection, rowCount }: Chunk): number {
  return selection === null ? rowCount : selection.length
}

/** The chunk with another column at a slot. */
export function withColumn(chunk: Chunk, slot: number, column: Column): Chunk {
  const columns = [...chunk.columns]
  columns[slot] = column
  return { ...chunk, columns }
}
