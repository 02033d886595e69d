import type { Reject } from '../../checkpoint/rejects.ts'
import type { Refused, Replayed } from '../../checkpoint/replays.ts'
import type { CarefulRange } from '../careful-range.ts'
import type { ReplayRange } from './replay-records.ts'

/** What was refused of a record, and which of its rows were sent. */
interface RecordOutcome {
  readonly refused: readonly Reject[]
  /** Which rows of the record, as text. */
  readonly sent: ReadonlySet<string>
  readonly loaded: number
}

/**
 * What has come of rejects, given all that was rejected of the chunk that was made of their records.
 *
 * Shape: a record that was refused as a whole is dealt with when one of its rows is loaded, or none was made of it; its
 *        other rows are rejects of their own then. A row of a record goes on as that row, whatever refuses it.
 */
export function replayOutcome(
  { records, unread }: ReplayRange,
  chunk: CarefulRange,
  rejects: readonly Reject[],
): Replayed {
  const outcome = { done: [], refused: [], added: [] } as {
    done: { id: number; rows: number }[]
    refused: Refused[]
    added: Refused[]
  }
  for (const record of unread) {
    const why = { ...NO_ROW, code: 'SOURCE_BAD_ROW', message: record.reason, stage: null }
    for (const { id, part } of record.rejects) outcome.refused.push({ ...why, id, part })
  }
  const found = outcomesByRecord(records.length, chunk, rejects)
  records.forEach((record, i) => {
    for (const { id, part } of record.rejects) {
      if (part.length > 0) {
        const wasMade = (): boolean => chunk.hasMade({ record: i, part })
        const why = refusalOfPart(part, found[i]!, wasMade)
        if (why === null) outcome.done.push({ id, rows: found[i]!.sent.has(part.join()) ? 1 : 0 })
        else outcome.refused.push({ ...why, id, part })
        continue
      }
      const { refused, loaded } = found[i]!
      const isDone = loaded > 0 || refused.length === 0
      if (isDone) outcome.done.push({ id, rows: loaded })
      refused.forEach((why, k) => {
        const list = k === 0 && !isDone ? outcome.refused : outcome.added
        list.push({ ...why, id })
      })
    }
  })
  return outcome
}

const NO_ROW = { column: null, constraint: null }

function outcomesByRecord(
  count: number,
  chunk: CarefulRange,
  rejects: readonly Reject[],
): RecordOutcome[] {
  const outcomes = Array.from({ length: count }, () => ({
    refused: [] as Reject[],
    sent: new Set<string>(),
    loaded: 0,
  }))
  for (let row = 0; row < chunk.rows; row++) {
    const { record, part } = chunk.originOf(row)
    outcomes[record]!.sent.add(part.join())
    outcomes[record]!.loaded++
  }
  rejects.forEach((reject, i) => {
    const outcome = outcomes[reject.record]!
    outcome.refused.push(reject)
    if (i >= chunk.rejects.length) outcome.loaded-- // it was sent, and the server has refused it
  })
  return outcomes
}

/** Why a row of a record is refused again; null where it is loaded, or left out by the stages. */
function refusalOfPart(
  part: readonly number[],
  { refused, sent }: RecordOutcome,
  wasMade: () => boolean,
): Omit<Refused, 'id'> | null {
  const why = refused.find((reject) => reject.part.every((number, i) => part[i] === number))
  if (why !== undefined) return why
  if (sent.has(part.join()) || wasMade()) return null
  const message = 'the stages make no such row of its record any more'
  return { ...NO_ROW, part, code: 'STAGE_NO_ROW', message, stage: null }
}
