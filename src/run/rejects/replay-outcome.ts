import type { KeptReject } from '../../checkpoint/kept-rejects.ts'
import type { Reject } from '../../checkpoint/rejects.ts'
import type { Refused, Replayed } from '../../checkpoint/replays.ts'
import type { CarefulRange } from '../lanes/careful-range.ts'
import type { ReplayRange } from './replay-records.ts'

/** Which row of a record. */
type Part = readonly number[]

/** Whether a row is the other one, or was made of it. */
export function isOf(part: Part, other: Part): boolean {
  return other.every((number, i) => part[i] === number)
}

/** What was refused of a record, and which of its rows were loaded. */
interface RecordOutcome {
  readonly refused: readonly Reject[]
  readonly loaded: readonly Part[]
}

/**
 * What has come of rejects, given all that was rejected of the chunk that was made of their records.
 *
 * Shape: a reject is dealt with when a row of it is loaded, or the stages have left it out; what else was made of it and
 *        refused are rejects of their own then.
 */
export function replayOutcome(
  { records, unread }: ReplayRange,
  chunk: CarefulRange,
  rejects: readonly Reject[],
): Replayed {
  const unreadOnes = unread.flatMap((record) =>
    record.rejects.map(({ id, part }) => {
      const message = record.reason
      return { refused: [{ ...NOWHERE, id, part, code: 'SOURCE_BAD_ROW', message }] }
    }),
  )
  const outcomes = outcomesByRecord(records.length, chunk, rejects)
  const read = records.flatMap((record, i) =>
    record.rejects.map((reject) => {
      const { part } = reject
      const wasMade = (): boolean => part.length === 0 || chunk.hasMade({ record: i, part })
      return outcomeOf(reject, outcomes[i]!, wasMade)
    }),
  )
  const all: readonly Partial<Replayed>[] = [...unreadOnes, ...read]
  return {
    done: all.flatMap(({ done = [] }) => done),
    refused: all.flatMap(({ refused = [] }) => refused),
    added: all.flatMap(({ added = [] }) => added),
  }
}

const NOWHERE = { column: null, constraint: null, stage: null }

function outcomeOf(
  { id, part }: KeptReject,
  outcome: RecordOutcome,
  wasMade: () => boolean,
): Partial<Replayed> {
  const whole = outcome.refused.find((reject) => isOf(part, reject.part))
  if (whole !== undefined) return { refused: [refusedAs(id, { ...whole, part })] }
  const refused = outcome.refused
    .filter((reject) => isOf(reject.part, part))
    .map((reject) => refusedAs(id, reject))
  const rows = outcome.loaded.filter((loaded) => isOf(loaded, part)).length
  if (rows > 0) return { done: [{ id, rows }], added: refused }
  if (refused.length > 0) return { refused: refused.slice(0, 1), added: refused.slice(1) }
  if (wasMade()) return { done: [{ id, rows }] }
  const message = 'the stages make no such row of its record any more'
  return { refused: [{ ...NOWHERE, id, part, code: 'STAGE_NO_ROW', message }] }
}

function refusedAs(id: number, reject: Reject): Refused {
  const { part, column, code, constraint, message, stage } = reject
  return { id, part, column, code, constraint, message, stage }
}

function outcomesByRecord(
  count: number,
  chunk: CarefulRange,
  rejects: readonly Reject[],
): RecordOutcome[] {
  const outcomes = Array.from({ length: count }, () => ({
    refused: [] as Reject[],
    loaded: [] as Part[],
  }))
  // What the server has refused was sent to it; what was rejected before was not.
  const sent = rejects.slice(chunk.rejects.length)
  const isRefused = new Set(sent.map(({ record, part }) => [record, ...part].join()))
  for (const reject of rejects) outcomes[reject.record]!.refused.push(reject)
  for (let row = 0; row < chunk.rows; row++) {
    const { record, part } = chunk.originOf(row)
    if (!isRefused.has([record, ...part].join())) outcomes[record]!.loaded.push(part)
  }
  return outcomes
}
