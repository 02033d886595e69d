import type { Chunk } from '../../chunk/chunk.ts'
import { ValueColumn } from '../../chunk/column.ts'
import type { Result } from '../../chunk/value.ts'
import { keepRows } from '../keep-rows.ts'
import type { StageReport } from '../stage.ts'
import { type ChunkKeys, FAILED, NO_KEY } from './chunk-keys.ts'
import type { Missing } from './enrichment.ts'
import { type Found, Refusal } from './lookup.ts'

/** Where what is found goes. */
export interface Places {
  /** Of the columns to be, in the order of the values. */
  readonly slots: readonly number[]
  /** The columns of the key. */
  readonly keyNames: readonly string[]
  readonly missing: Missing
}

/** Puts what was found for the keys of a chunk, in their order, into columns. */
export function putFound(
  chunk: Chunk,
  { ofRow }: ChunkKeys,
  found: readonly Found[],
  { slots, keyNames, missing }: Places,
  report: StageReport,
): Chunk {
  const values = slots.map(() => new Array<Result>(chunk.rowCount))
  const columns = [...chunk.columns]
  slots.forEach((slot, c) => (columns[slot] = new ValueColumn(values[c]!)))
  const keep = (row: number): boolean => {
    const key = ofRow[row]!
    if (key === FAILED) return false
    const match = key === NO_KEY ? null : found[key]!
    if (match instanceof Refusal) {
      report.fail({ row, code: match.code, reason: match.reason, columns: keyNames })
      return false
    }
    if (match === null) {
      if (missing === 'fail') {
        const reason = key === NO_KEY ? 'its key is NULL' : 'nothing is found for its key'
        report.fail({ row, code: 'STAGE_INVALID', reason, columns: keyNames })
      }
      return missing === 'null'
    }
    for (let c = 0; c < values.length; c++) values[c]![row] = match[c]
    return true
  }
  return keepRows({ ...chunk, columns }, keep, (_, error) => {
    throw error
  })
}
