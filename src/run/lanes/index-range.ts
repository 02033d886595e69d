import type { Fields } from '../../chunk/fields.ts'
import { findBadText } from '../../source/csv/check-text.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import { badRecordError } from './bad-row.ts'
import type { InputShape, LaneInput, RangeBytes } from './lane-protocol.ts'

/**
 * Indexes the fields of a range.
 *
 * Errors: SOURCE_BAD_ROW for the first record that cannot become a row.
 */
export function indexRange(engine: CsvEngine, input: InputShape, source: RangeBytes): Fields {
  return indexFrom(engine, input, source, 0, 0)
}

/**
 * Indexes the fields of a range for what their types are; where rejects are kept, of its sound records alone.
 *
 * Errors: as indexRange, where a bad record is the end of the load.
 */
export function indexSound(engine: CsvEngine, input: LaneInput, source: RangeBytes): Fields {
  if (input.rejects === 'stop') return indexRange(engine, input, source)
  const bytes = Buffer.from(source.buffer, 0, source.length)
  return engine.index(bytes, input.fieldCount, source.range.records).fields
}

/**
 * Indexes what a range holds from a byte on, before which it has so many records.
 *
 * Errors: as indexRange.
 */
export function indexFrom(
  engine: CsvEngine,
  input: InputShape,
  source: RangeBytes,
  byte: number,
  record: number,
): Fields {
  const bytes = Buffer.from(source.buffer, byte, source.length - byte)
  const badText = findBadText(engine, bytes)
  const { fields, bad } = engine.index(bytes, input.fieldCount, source.range.records - record)
  const first = [...bad, ...(badText === null ? [] : [badText])].sort((a, b) => a.byte - b.byte)[0]
  if (first !== undefined) {
    const inRange = { ...first, record: first.record + record, byte: first.byte + byte }
    throw badRecordError(inRange, input, source)
  }
  return fields
}
