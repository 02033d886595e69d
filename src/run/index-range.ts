import type { Chunk } from '../chunk/chunk.ts'
import { findBadText } from '../source/csv/check-text.ts'
import type { CsvEngine } from '../source/csv/engine.ts'
import { badRecordError } from './bad-row.ts'
import type { LaneInput, RangeBytes } from './lane-protocol.ts'

/**
 * Makes a chunk of a range.
 *
 * Errors: SOURCE_BAD_ROW for the first record that cannot become a row.
 */
export function indexRange(engine: CsvEngine, input: LaneInput, source: RangeBytes): Chunk {
  const bytes = Buffer.from(source.buffer, 0, source.length)
  const badText = findBadText(engine, bytes)
  const { chunk, bad } = engine.index(bytes, input.fieldCount, source.range.records)
  const first = [...bad, ...(badText === null ? [] : [badText])].sort((a, b) => a.byte - b.byte)[0]
  if (first !== undefined) throw badRecordError(first, input, source)
  return chunk
}
