import type { ClaimCounts } from '../../checkpoint/claims.ts'
import type { Range } from '../../chunk/range.ts'
import { BlockPool } from '../../copy/block-pool.ts'
import { type CopyPart, encodeChunk } from '../../copy/encode-chunk.ts'
import { RowCursor, RowPlan } from '../../copy/rows.ts'
import { BadColumnValue } from '../../copy/text-rows.ts'
import { SourceError, StageError, toError, type Where } from '../../core/errors.ts'
import { Queue } from '../../core/queue.ts'
import { ChunkLoader, type EncodedChunk, type Outcome } from '../../target/chunk-transaction.ts'
import { isAboutRow } from '../../target/careful-chunk.ts'
import { RefusedRow } from '../../target/copy-parts.ts'
import { errorAtTarget } from '../../target/staged-names.ts'
import { badValueError, placeOfRow, refusedRowError } from './bad-row.ts'
import { RangeReader, type RangeReading } from './range-reader.ts'
import {
  BLOCKS,
  endOf,
  type Lane,
  nextRange,
  type PendingRange,
  type Session,
  type SessionEnd,
} from './lane-session.ts'

/** A chunk on its way from the encoder to the server. */
class Prepared implements EncodedChunk {
  readonly source: PendingRange
  readonly reading: RangeReading
  readonly parts: AsyncIterable<CopyPart>
  /** When its loading began, on the clock of performance.now(). */
  began = 0

  constructor(source: PendingRange, reading: RangeReading, parts: AsyncIterable<CopyPart>) {
    this.source = source
    this.reading = reading
    this.parts = parts
  }

  get range(): Range {
    return this.source.range
  }

  get counts(): ClaimCounts {
    const { count, added, checksum, facts } = this.reading
    return { loaded: count, rejected: 0, added, checksum, facts }
  }
}

/** Loads the fast way: while the server takes one chunk the next is indexed and encoded. The first bad row ends it. */
export async function runFast(session: Session): Promise<SessionEnd> {
  const { connection, lane, plan, pending } = session
  const prepared = new Queue<Prepared>()
  const pool = new BlockPool(BLOCKS)
  const stop = new AbortController()
  const encoding = encodeAhead(session, pool, prepared, stop.signal)
  const ended = ({ source, reading, began }: Prepared, outcome: Outcome): void => {
    const { range, buffer } = source
    const milliseconds = performance.now() - began
    const stagesDone = outcome === 'committed' ? reading.stats : []
    const done = { rejected: 0, outcome, milliseconds, stages: stagesDone }
    pending.splice(pending.indexOf(source), 1)
    lane.report({ type: 'loaded', range, rows: reading.count, ...done, buffer }, [buffer])
  }
  try {
    const client = await connection.client
    const loader = new ChunkLoader<Prepared>(client, plan.target, plan.scope, pool, ended)
    for await (const chunk of prepared) {
      chunk.began = performance.now()
      await loader.load(chunk)
      if (prepared.isEmpty) await loader.commit()
    }
    return { type: 'done' }
  } catch (error) {
    const end = await endOf(session, error)
    if (end !== null) return end
    if (lane.input.rejects === 'keep' && isAboutRows(error)) return { type: 'refused' }
    const first = pending[0]!
    const placeOf = (row: number): Where =>
      placeOfRow(first.reading?.indexRow(row) ?? row, lane, first)
    if (error instanceof RefusedRow) {
      throw refusedRowError(errorAtTarget(error.refusal, plan.target), placeOf(error.row))
    }
    if (error instanceof BadColumnValue) {
      const column = plan.target.columns[error.column]!
      throw badValueError(error, column, placeOf(error.row))
    }
    throw error
  } finally {
    stop.abort()
    pool.close()
    await encoding
  }
}

/** Whether an error is about rows, so that the others of their chunk can be loaded. */
function isAboutRows(error: unknown): boolean {
  // A chunk failed, and so did the COMMIT of the one before it.
  if (error instanceof AggregateError) return error.errors.every(isAboutRows)
  if (error instanceof RefusedRow) return isAboutRow(error.refusal)
  if (error instanceof SourceError) return error.code === 'SOURCE_BAD_ROW'
  if (error instanceof StageError) return error.code !== 'STAGE_LIMIT'
  return error instanceof BadColumnValue || isAboutRow(error)
}

/**
 * Indexes and encodes ranges ahead of the sender, as far as the pool's blocks reach. Errors go to the sender.
 *
 * Why: with stages that ask, the sender hears of a chunk with its first part and at its turn, when no earlier range is to be
 *      staged any more. Before that it would keep the transaction of the chunk before open while this one waits for another
 *      lane; and that one may wait for a lock that the transaction holds.
 */
async function encodeAhead(
  { lane, plan, stages, pending }: Session,
  pool: BlockPool,
  prepared: Queue<Prepared>,
  stop: AbortSignal,
): Promise<void> {
  const cursor = new RowCursor()
  const rowPlan = new RowPlan(plan.columns)
  const { engine, input, questions } = lane
  const reader = new RangeReader({ engine, input, stages, fields: plan.fields, plan: rowPlan })
  const again = [...pending]
  let parts: Queue<CopyPart> | null = null
  try {
    for (;;) {
      const source = again.shift() ?? (await nextRange(lane, pending, stop))
      if (source === undefined) break
      const asked = stages.asks ? questions.begin(source.range.start, stop) : null
      const reading = reader.read(source, asked)
      source.reading = reading
      if (source.type === 'recall') {
        await recall(lane, source, reading, pending)
        continue
      }
      parts = new Queue<CopyPart>()
      let told = false
      const tell = async (queue: Queue<CopyPart>): Promise<void> => {
        if (!told) await asked?.turn()
        if (!told) prepared.push(new Prepared(source, reading, queue))
        told = true
      }
      if (asked === null) await tell(parts)
      for await (const part of encodeChunk(reading, rowPlan, cursor, pool)) {
        parts.push(part)
        await tell(parts)
      }
      await tell(parts)
      parts.end()
      parts = null
    }
    prepared.end()
  } catch (error) {
    parts?.fail(toError(error))
    prepared.fail(toError(error))
  }
}

/** Takes a range through the stages, and lets its rows go. */
async function recall(
  lane: Lane,
  source: PendingRange,
  reading: RangeReading,
  pending: PendingRange[],
): Promise<void> {
  const { range, buffer } = source
  for await (const chunk of reading.chunks(0, 0)) void chunk
  pending.splice(pending.indexOf(source), 1)
  lane.report({ type: 'recalled', range, buffer }, [buffer])
}
