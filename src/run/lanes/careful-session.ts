import { claimedRows } from '../../checkpoint/claims.ts'
import type { Reject } from '../../checkpoint/rejects.ts'
import { decoderOf } from '../../chunk/decode.ts'
import { IndexedRowEncoder } from '../../copy/binary/indexed-rows.ts'
import { BlockPool } from '../../copy/block-pool.ts'
import { RowPlan } from '../../copy/rows.ts'
import { loadCarefully } from '../../target/careful-chunk.ts'
import type { Refusal } from '../../target/suspect-rows.ts'
import { rangeClaim } from '../../target/range-claim.ts'
import { findRules } from '../../target/row-rules.ts'
import { readCarefully } from './careful-range.ts'
import {
  BLOCKS,
  MISFITS,
  nextRange,
  endOf,
  type PendingRange,
  replan,
  type Session,
  type SessionEnd,
} from './lane-session.ts'

/** Chunks without a reject after which the fast way is tried again: what it has sent before a refusal stays as dead tuples. */
const CLEAN_CHUNKS = 8

/** Loads over one connection, range by range, and keeps the rows that cannot be loaded. */
export async function runCareful(session: Session): Promise<SessionEnd> {
  const { connection, lane, plan, stages, pending } = session
  const pool = new BlockPool(BLOCKS)
  const stop = new AbortController()
  /** Ranges for whose values no plan is wider. */
  const settled = new Set<PendingRange>()
  const { engine, input, questions } = lane
  const reading = {
    ...{ engine, input, stages, pool, columns: plan.target.columns, limits: plan.limits },
    decoders: plan.fields.map(({ type }) => decoderOf(type)),
    plan: new RowPlan(plan.columns),
    copied: plan.columns,
    encoder: new IndexedRowEncoder(),
  }
  try {
    const client = await connection.client
    const rules = await findRules(client, plan.target)
    for (let clean = 0; clean < CLEAN_CHUNKS;) {
      const source = pending[0] ?? (await nextRange(lane, pending, stop.signal))
      if (source === undefined) return { type: 'done' }
      const began = performance.now()
      const asked = stages.asks ? questions.begin(source.range.start, stop.signal) : null
      const chunk = await readCarefully(reading, source, asked)
      const { range, buffer } = source
      if (source.type === 'recall') {
        pending.shift()
        lane.report({ type: 'recalled', range, buffer }, [buffer])
        continue
      }
      await asked?.turn()
      const { target, scope } = plan
      const mayWiden = plan.widening && !settled.has(source)
      const giveUp = (refusals: readonly Refusal[]): boolean =>
        mayWiden && areMisfits(chunk.rejects, refusals)
      const claim = rangeClaim(scope)
      const outcome = await loadCarefully({ client, target, claim, pool, rules, giveUp }, chunk)
      if (outcome === 'given up') {
        const better = await replan(lane, plan, source)
        if (better !== null) return { type: 'replan', plan: better }
        settled.add(source)
        continue
      }
      pending.shift()
      const milliseconds = performance.now() - began
      const done =
        outcome === null
          ? ({ outcome: 'done', stages: [] } as const)
          : ({ outcome: 'committed', stages: chunk.stats } as const)
      const counts = outcome ?? (await claimedRows(client, scope, range))
      const { loaded: rows, rejected } = counts ?? { loaded: 0, rejected: 0 }
      lane.report({ type: 'loaded', range, rows, rejected, milliseconds, ...done, buffer }, [
        buffer,
      ])
      clean = rejected === 0 ? clean + 1 : 0
    }
    return { type: 'clean' }
  } catch (error) {
    const end = await endOf(session, error)
    if (end === null) throw error
    return end
  } finally {
    stop.abort()
    pool.close()
  }
}

/** Whether values did not fit the types that were inferred, as the stages or the server have found. */
function areMisfits(rejects: readonly Reject[], refusals: readonly Refusal[]): boolean {
  return (
    rejects.some(({ code }) => code === 'STAGE_CAST') ||
    refusals.some(({ sqlstate }) => MISFITS.has(sqlstate))
  )
}
