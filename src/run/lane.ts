import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { claimedRows } from '../checkpoint/claims.ts'
import type { StageContext } from '../stage/stage.ts'
import { StageList } from '../stage/stage-list.ts'
import { isConnectionLost, wrapServerError } from '../target/server-error.ts'
import { columnsOf } from './field-types.ts'
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
  lane: Lane,
  connection: LaneConnection,
  first: LoadPlan,
): Promise<void> {
  const pending: PendingRange[] = []
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

/** Two lanes that deadlock are to try again at different times. */
const LONGEST_PAUSE_MS = 200
/** Times that one range is tried: who loses each time is not up against another lane. */
const MOST_TRIES = 20

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
  let tried: PendingRange | undefined
  let tries = 0
  for (;;) {
    const end = await run({ connection, lane, plan, stages, pending })
    if (end.type === 'done') return null
    if (end.type === 'replan') return end.plan
    if (end.type === 'retry') {
      tries = pending[0] === tried ? tries + 1 : 1
      tried = pending[0]
      if (tries > MOST_TRIES) throw end.error
      await sleep(Math.random() * LONGEST_PAUSE_MS)
    } else if (end.type === 'refused') run = runCareful
    else if (end.type === 'clean') run = runFast
    else await settle(connection, lane, plan, pending)
  }
}

/** After a lost connection only the claims tell whether a chunk was committed; they are asked until they have answered. */
async function settle(
  connection: LaneConnection,
  lane: Lane,
  plan: LoadPlan,
  pending: PendingRange[],
): Promise<void> {
  for (;;) {
    const client = await connection.reopen()
    try {
      return await lookUp(client, lane, plan, pending)
    } catch (thrown) {
      const error = wrapServerError(thrown)
      if (!isConnectionLost(error) || connection.isGivenUp) throw error
      lane.report({ type: 'reconnecting', message: error.message }, [])
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
