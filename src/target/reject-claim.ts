import type { HeldJob } from '../checkpoint/job.ts'
import type { Reject } from '../checkpoint/rejects.ts'
import { claimRejects, noteReplayed, type Replayed } from '../checkpoint/replays.ts'
import type { CarefulClaim } from './careful-chunk.ts'

/**
 * The claim of kept rejects, by their ids: their rows are loaded together with the note of what has come of each.
 *
 * Shape: `outcomeOf` is given all that was rejected of the chunk.
 */
export function rejectClaim(
  stateSchema: string,
  job: HeldJob,
  ids: readonly number[],
  outcomeOf: (rejects: readonly Reject[]) => Replayed,
): CarefulClaim {
  return {
    take: (client) => claimRejects(client, stateSchema, job, ids),
    keep: (client, _chunk, rejects) => noteReplayed(client, stateSchema, job, outcomeOf(rejects)),
  }
}
