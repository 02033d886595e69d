import { crc32 } from 'node:zlib'
import { CsvPlan, isInFileOrder } from '../copy/binary/csv-rows.ts'
import type { RangeRows } from '../copy/encode-chunk.ts'
import type { RowPlan } from '../copy/rows.ts'
import { findBadText } from '../source/csv/check-text.ts'
import type { CsvEngine } from '../source/csv/engine.ts'
import { indexFrom, indexRange } from './index-range.ts'
import type { LaneInput, RangeBytes } from './lane-protocol.ts'

/** The rows of a range for the encoder, how many there are, and the checksum of the range's bytes. */
export interface CountedRows {
  readonly rows: RangeRows
  readonly count: number
  readonly checksum: number
}

/**
 * Finds the fastest way to read the rows of a range: without an index where engine and plan allow it.
 *
 * Errors: SOURCE_BAD_ROW for a record that cannot become a row; over the straight road only while it is encoded.
 */
export function rowsOfRange(
  engine: CsvEngine,
  input: LaneInput,
  source: RangeBytes,
  plan: RowPlan,
): CountedRows {
  const bytes = Buffer.from(source.buffer, 0, source.length)
  const checksum = crc32(bytes)
  const { structure } = engine
  const straight =
    structure !== null && isInFileOrder(plan) && bytes.at(-1) === 10 && isSoundText(engine, bytes)
  if (!straight) {
    const chunk = indexRange(engine, input, source)
    return { rows: { straight: null, index: () => chunk }, count: chunk.rowCount, checksum }
  }
  const rows: RangeRows = {
    straight: { bytes, structure, plan: new CsvPlan(input.fieldCount, plan) },
    index: (byte, row) => indexFrom(engine, input, source, byte, row),
  }
  return { rows, count: source.range.records, checksum }
}

function isSoundText(engine: CsvEngine, bytes: Buffer): boolean {
  return findBadText(engine, bytes) === null
}
