import type { Claim } from '../checkpoint/claims.ts'
import { inputChanged } from '../checkpoint/refusals.ts'
import { remainingGaps } from '../checkpoint/remaining.ts'
import { verifyClaims } from '../checkpoint/verify-input.ts'
import type { Position } from '../chunk/range.ts'
import type { ByteSource } from '../source/bytes/byte-source.ts'
import { type Buffers, type Cut, cut, type CutLimits } from '../source/csv/cut.ts'
import type { CsvEngine } from '../source/csv/engine.ts'

/**
 * Cuts what remains of an input: the gaps between its claims.
 *
 * Shape: a stream is read from its start; what is claimed already is compared with its claim's checksum on the way.
 */
export async function* remainingCuts(
  source: ByteSource,
  engine: CsvEngine,
  claims: readonly Claim[],
  data: Position,
  limits: CutLimits,
  buffers: Buffers,
): AsyncGenerator<Cut> {
  const isStream = source.size === null
  let verified = 0
  for (const gap of remainingGaps(claims, data, source.size)) {
    if (isStream) {
      const before = claims.filter((c) => c.start >= verified && c.end <= gap.from.byte)
      await verifyClaims(source, before)
      verified = gap.from.byte
    }
    let end = gap.from.byte
    for await (const piece of cut(source, engine, gap.from, gap.end, limits, buffers)) {
      end = piece.range.end
      yield piece
    }
    if (gap.end !== null && end < gap.end) {
      throw inputChanged(source.name, `it ends at byte ${String(end)}, before what is loaded`)
    }
  }
}
