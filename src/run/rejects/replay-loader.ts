import type { HeldJob } from '../../checkpoint/job.ts'
import { rejectsToReplay } from '../../checkpoint/kept-rejects.ts'
import type { Reject } from '../../checkpoint/rejects.ts'
import type { Replayed } from '../../checkpoint/replays.ts'
import { decoderOf } from '../../chunk/decode.ts'
import { IndexedRowEncoder } from '../../copy/binary/indexed-rows.ts'
import { BlockPool } from '../../copy/block-pool.ts'
import { RowPlan } from '../../copy/rows.ts'
import type { Logger } from '../../core/log.ts'
import type { StageList } from '../../stage/stage-list.ts'
import { loadCarefully } from '../../target/careful-chunk.ts'
import { findRules, type RowRules } from '../../target/row-rules.ts'
import { rejectClaim } from '../../target/reject-claim.ts'
import { isFault, wrapServerError } from '../../target/server-error.ts'
import { type CarefulReading, readCarefully } from '../lanes/careful-range.ts'
import type { LaneConnection } from '../lanes/lane-connection.ts'
import { BLOCKS } from '../lanes/lane-session.ts'
import type { ReplayPlan } from './prepare-replay.ts'
import { isOf, replayOutcome } from './replay-outcome.ts'
import { replayRange, type ReplayRange } from './replay-records.ts'

/** Times that one batch is tried while somebody else deals with some of its rejects. */
const MOST_MISSES = 20

/** What batches of rejects are loaded with. */
export interface ReplayLoading {
  readonly connection: LaneConnection
  readonly stateSchema: string
  readonly job: HeldJob
  /** Only rejects with this code; null for all. */
  readonly code: string | null
  readonly plan: ReplayPlan
  readonly stages: StageList
  readonly log: Logger
}

/** Loads kept rejects, a batch in a transaction. */
export class ReplayLoader {
  readonly #with: ReplayLoading
  readonly #pool = new BlockPool(BLOCKS)
  readonly #reading: CarefulReading
  #rules: Promise<RowRules> | null = null

  constructor(loading: ReplayLoading) {
    this.#with = loading
    const { engine, dialect, fields, mapping, target, limits } = loading.plan
    this.#reading = {
      engine,
      // There is no input but the records; their places are those of the rejects.
      input: { source: 'rejects', dialect, fieldCount: fields.length, rejects: 'keep' },
      stages: loading.stages,
      decoders: fields.map(({ type }) => decoderOf(type)),
      plan: new RowPlan(mapping.columns),
      copied: mapping.columns,
      columns: target.columns,
      limits,
      encoder: new IndexedRowEncoder(),
      pool: this.#pool,
    }
  }

  /**
   * Loads those of the rejects that nobody has replayed yet; `edits` has other bytes for records of some, by id.
   *
   * Why:    after a fault nothing is assumed: those that this run has dealt with are not found again.
   * Errors: CHECKPOINT_FENCED, TARGET_*.
   */
  async load(ids: readonly number[], edits: ReadonlyMap<number, Buffer>): Promise<void> {
    const { connection, log } = this.#with
    for (let misses = 0; ;) {
      try {
        if (await this.#tryLoad(ids, edits)) break
        if (++misses === MOST_MISSES) throw new Error('rejects are changed by others all the time')
      } catch (thrown) {
        const error = wrapServerError(thrown)
        if (!isFault(error) || connection.isGivenUp) throw error
        const level = connection.isFirstFault ? 'warn' : 'debug'
        log[level]({ reason: error.message }, 'the replay was held up, trying again')
        await connection.reopen(error)
        this.#rules = null // asking for it may be what failed
      }
    }
    connection.progressed()
  }

  close(): void {
    this.#pool.close()
  }

  /** False when somebody else has dealt with some of them meanwhile. */
  async #tryLoad(ids: readonly number[], edits: ReadonlyMap<number, Buffer>): Promise<boolean> {
    const { connection, stateSchema, job, code, plan } = this.#with
    const client = await connection.client
    const rejects = await rejectsToReplay(client, stateSchema, job, ids, code)
    if (rejects.length === 0) return true
    const range = replayRange(rejects, edits, plan.engine, plan.dialect)
    const chunk = await readCarefully(
      { ...this.#reading, wants: wantedRows(range) },
      range.source,
      null,
    )
    const outcomeOf = (found: readonly Reject[]): Replayed => replayOutcome(range, chunk, found)
    const claim = rejectClaim(
      stateSchema,
      job,
      rejects.map(({ id }) => id),
      outcomeOf,
    )
    const { target } = plan
    const rules = await (this.#rules ??= findRules(client, target))
    const giveUp = (): boolean => false
    const loading = { client, target, claim, pool: this.#pool, rules, giveUp }
    return (await loadCarefully(loading, chunk)) !== null
  }
}

/** Of a record of which only some rows were refused, the others are in the table already. */
function wantedRows({ records }: ReplayRange): CarefulReading['wants'] {
  return (record, part) => records[record]!.rejects.some((reject) => isOf(part, reject.part))
}
