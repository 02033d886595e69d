import { crc32 } from 'node:zlib'
import { CsvRowEncoder, isInFileOrder } from '../copy/binary/csv-rows.ts'
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

/** The encoder of the straight road, where engine and plan allow it. */
export function straightEncoder(
  engine: CsvEngine,
  { fieldCount }: LaneInput,
  plan: RowPlan,
): CsvRowEncoder | null {
  if (engine.structure === null || !isInFileOrder(plan)) return null
  return new CsvRowEncoder(engine.structure, fieldCount, plan)
}

/**
 * Finds the fastest way to read the rows of a range: without an index where encoder and bytes allow it.
 *
 * Errors: SOURCE_BAD_ROW for a record that cannot become a row; over the straight road only while it is encoded.
 */
export function rowsOfRange(
  engine: CsvEngine,
  input: LaneInput,
  source: RangeBytes,
  encoder: CsvRowEncoder | null,
): CountedRows {
  const bytes = Buffer.from(source.buffer, 0, source.length)
  const checksum = crc32(bytes)
  if (encoder === null || bytes.at(-1) !== 10 || !isSoundText(engine, bytes)) {
    const chunk = indexRange(engine, input, source)
    return { rows: { straight: null, index: () => chunk }, count: chunk.rowCount, checksum }
  }
  const rows: RangeRows = {
    straight: { bytes, encoder },
    index: (byte, row) => indexFrom(engine, input, source, byte, row),
  }
  return { rows, count: source.range.records, checksum }
}

function isSoundText(engine: CsvEngine, bytes: Buffer): boolean {
  return findBadText(engine, bytes) === null
}
