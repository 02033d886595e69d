import type { Claim } from '../../checkpoint/claims.ts'
import { inputChanged } from '../../checkpoint/refusals.ts'
import { remainingGaps } from '../../checkpoint/remaining.ts'
import { verifyClaims } from '../../checkpoint/verify-input.ts'
import type { Position } from '../../chunk/range.ts'
import type { ByteSource } from '../../source/bytes/byte-source.ts'
import { type Buffers, type Cut, cut, type CutLimits } from '../../source/csv/cut.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import { recalledCuts } from './recalled-claims.ts'

/** What is read to go on with a job. */
export interface Remaining {
  readonly source: ByteSource
  readonly engine: CsvEngine
  readonly claims: readonly Claim[]
  /** Where the records begin. */
  readonly data: Position
  readonly limits: CutLimits
  readonly buffers: Buffers
  /** Whether the stages have to know the keys of what is loaded already. */
  readonly recall: boolean
}

/** A range to load, or one to recall the keys of. */
export interface CutTask {
  readonly type: 'range' | 'recall'
  readonly cut: Cut
}

/**
 * Cuts what remains of an input, the gaps between its claims, and where keys are recalled also the claims before a gap: in
 * the order of the file.
 *
 * Shape: a stream is read from its start; what is claimed already is compared with its claim's checksum on the way.
 */
export async function* remainingCuts(remaining: Remaining): AsyncGenerator<CutTask> {
  const { source, engine, claims, data, limits, buffers, recall } = remaining
  const isStream = source.size === null
  let known = 0
  for (const gap of remainingGaps(claims, data, source.size)) {
    const before = claims.filter((c) => c.start >= known && c.end <= gap.from.byte)
    known = gap.from.byte
    if (recall) {
      for await (const piece of recalledCuts(source, engine, before, limits, buffers)) {
        yield { type: 'recall', cut: piece }
      }
    } else if (isStream) await verifyClaims(source, before)
    let end = gap.from.byte
    for await (const piece of cut(source, engine, gap.from, gap.end, limits, buffers)) {
      end = piece.range.end
      yield { type: 'range', cut: piece }
    }
    if (gap.end !== null && end < gap.end) {
      throw inputChanged(source.name, `it ends at byte ${String(end)}, before what is loaded`)
    }
  }
}
