import type { Client } from 'pg'
import { claimedRows } from '../../checkpoint/claims.ts'
import type { StageContext } from '../../stage/stage.ts'
import { StageList } from '../../stage/stage-list.ts'
import { isFault, wrapServerError } from '../../target/server-error.ts'
import { columnsOf } from '../job/field-types.ts'
import type { LaneConnection } from './lane-connection.ts'
import type { LoadPlan } from './lane-protocol.ts'
import { withStages } from './with-stages.ts'
import { runCareful } from './careful-session.ts'
import { runFast } from './fast-session.ts'
import type { Lane, PendingRange } from './lane-session.ts'

/**
 * Takes ranges through: index, encode, commit, one connection, until the ranges end.
 *
 * Shape:  while the server takes one chunk the next is indexed and encoded. Ranges that were received but not
 *         committed are kept, so that after a lost connection each is looked up and, if need be, sent again.
 * Errors: what is wrong with a row, with its place; TARGET_UNREACHABLE when the server does not come back.
 */
export async function runLane(
  given: Lane,
  connection: LaneConnection,
  first: LoadPlan,
): Promise<void> {
  const pending: PendingRange[] = []
  const report: Lane['report'] = (message, transfer) => {
    if (message.type === 'loaded') connection.progressed()
    given.report(message, transfer)
  }
  const lane = { ...given, report }
  for (let plan: LoadPlan | null = first; plan !== null;) {
    const current: LoadPlan = plan
    const stages = new StageList(lane.stages, columnsOf(current.fields))
    const work = (): Promise<LoadPlan | null> => runPlan(connection, lane, current, stages, pending)
    const context: StageContext = {
      query: (text, values) => lane.context.query(text, values),
      types: current.widening ? 'widening' : 'final',
    }
    plan = await withStages(stages, context, work)
  }
}

/**
 * Loads by one plan, over as many connections as it takes; returns the plan to go on by, null at the end.
 *
 * Shape: ranges go the fast way until a row of one is refused, then the careful way until some were clean.
 */
async function runPlan(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  stages: StageList,
  pending: PendingRange[],
): Promise<LoadPlan | null> {
  let run = runFast
  for (;;) {
    const end = await run({ connection, lane, plan, stages, pending })
    if (end.type === 'done') return null
    if (end.type === 'replan') return end.plan
    if (end.type === 'fault') await settle(connection, lane, plan, pending, end.error)
    else run = end.type === 'refused' ? runCareful : runFast
  }
}

/**
 * After a fault only the claims tell whether a chunk was committed; they are asked, over a new connection, until they have
 * answered. Then what is not committed is tried again.
 */
async function settle(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  pending: PendingRange[],
  fault: Error,
): Promise<void> {
  if (pending.length === 0) connection.progressed() // nothing was to be done
  for (let last = fault; ;) {
    lane.report({ type: 'fault', message: last.message, isFirst: connection.isFirstFault }, [])
    const client = await connection.reopen(last)
    try {
      return await lookUp(client, lane, plan, pending)
    } catch (thrown) {
      const error = wrapServerError(thrown)
      if (!isFault(error) || connection.isGivenUp) throw error
      last = error
    }
  }
}

async function lookUp(
  client: Client,
  lane: Lane,
  plan: LoadPlan,
  pending: PendingRange[],
): Promise<void> {
  for (const source of pending.filter(({ type }) => type === 'range')) {
    const claimed = await claimedRows(client, plan.scope, source.range)
    if (claimed === null) continue
    pending.splice(pending.indexOf(source), 1)
    const { range, buffer } = source
    const { loaded: rows, rejected } = claimed
    const done = { rows, rejected, outcome: 'committed', milliseconds: 0, stages: [] } as const
    lane.report({ type: 'loaded', range, ...done, buffer }, [buffer])
  }
}
