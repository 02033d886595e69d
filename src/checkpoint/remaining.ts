import type { Position } from '../chunk/range.ts'
import type { Claim } from './claims.ts'

/** A piece of the input that no claim covers. `end` is null where it reaches to the end of a stream of unknown size. */
export interface Gap {
  readonly from: Position
  readonly end: number | null
}

/**
 * What remains to do: the complement of the claims in [from.byte, size).
 *
 * Shape: gaps in the order of the file. A gap starts where the input does or where a claim ends, and there the claim
 *        knows record and line; so chunk size and number of lanes may change from run to run.
 */
export function remainingGaps(
  claims: readonly Claim[],
  from: Position,
  size: number | null,
): readonly Gap[] {
  const gaps: Gap[] = []
  let at = from
  for (const claim of claims) {
    if (claim.start > at.byte) gaps.push({ from: at, end: claim.start })
    at = {
      byte: claim.end,
      record: claim.firstRecord + claim.read,
      line: claim.firstLine + claim.lines,
    }
  }
  if (size === null || at.byte < size) gaps.push({ from: at, end: size })
  return gaps
}
