import type { Client } from 'pg'
import { BlockPool } from '../../copy/block-pool.ts'
import { type CopyFormat, type CopyPart, encodeChunk } from '../../copy/encode-chunk.ts'
import { RowCursor, RowPlan } from '../../copy/rows.ts'
import { BadColumnValue } from '../../copy/text-rows.ts'
import { SourceError, TargetError, toError } from '../../core/errors.ts'
import { parseTableName } from '../../core/identifier.ts'
import { findTable } from '../../target/catalog.ts'
import { type ClientSource, useClient } from '../../target/borrow-client.ts'
import { CopyIn } from '../../target/copy-in.ts'
import { copyParts, copySql, type CopyTarget, RefusedRow } from '../../target/copy-parts.ts'
import { breakConnection } from '../../target/end-client.ts'
import { allOrNothing } from '../../target/nested-transaction.ts'
import { wrapServerError } from '../../target/server-error.ts'
import { aborted, afterAbort } from '../abort.ts'
import { mapColumns } from '../job/mapping.ts'
import { noTable, resolveTable } from '../job/plan.ts'
import { RowBatches, type RowObjects } from './row-batches.ts'

/** Where copyRows puts rows. */
export interface RowsTarget {
  /** A `postgres://` URL, a pool of the package `pg`, or a client, also one within a transaction. */
  readonly to: ClientSource
  /** `table` or `schema.table`. */
  readonly table: string
}

export interface CopyRowsOptions {
  /** The keys to take; by default those of the first row, and then no row may have others. */
  readonly columns?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** Blocks that are encoded or under way: 2 MiB. */
const BLOCKS = 8
/** Chunks between which COPY binary is tried again after a value that had to go as text. */
const CHUNKS_PER_COPY = 32
/** A server that does not answer is given up this long after the caller has asked to stop. */
const GIVE_UP_MS = 5_000

/**
 * Copies objects into a table: all of them, or none.
 *
 * Shape:  keys are matched to columns as the names of a CSV header are; a missing or undefined key is NULL. Values are what
 *         a stage may give. Rows are taken as fast as the server takes them. With a client that is within a
 *         transaction, they are part of it; a failure undoes them alone.
 * Errors: what the iterable throws; SOURCE_BAD_ROW for a key that the first row has not, and for a value that no column can hold;
 *         CONFIG_* for columns that do not fit; TARGET_ROW_REFUSED with the row's number; RUN_ABORTED. The iterable is told
 *         to end, and after CopyFail nothing of the rows is left.
 */
export async function copyRows(
  target: RowsTarget,
  rows: RowObjects,
  options: CopyRowsOptions = {},
): Promise<{ readonly rows: number }> {
  const { signal, columns } = options
  signal?.throwIfAborted()
  const batches = new RowBatches(rows)
  const pool = new BlockPool(BLOCKS)
  const onAbort = (): void => {
    batches.interrupt(aborted())
    pool.close()
  }
  signal?.addEventListener('abort', onAbort)
  try {
    return await useClient(target.to, 'millrace rows', async (client) => {
      const deadline = signal && afterAbort(signal, GIVE_UP_MS, () => breakConnection(client))
      // A connection that is lost, or a row that is refused, ends the wait for the next row.
      const onError = (error: Error): void => batches.interrupt(wrapServerError(error))
      client.on('error', onError)
      try {
        return await copyTo({ client, batches, pool }, target.table, columns)
      } finally {
        client.off('error', onError)
        deadline?.dispose()
      }
    })
  } catch (error) {
    if (signal?.aborted === true) throw aborted(error)
    // What the iterable has thrown is the caller's own, and stays as it is.
    throw batches.thrown === null ? wrapServerError(error) : batches.thrown.error
  } finally {
    signal?.removeEventListener('abort', onAbort)
    batches.close()
    pool.close()
  }
}

interface Copying {
  readonly client: Client
  readonly batches: RowBatches
  readonly pool: BlockPool
}

async function copyTo(
  copying: Copying,
  tableName: string,
  columns: readonly string[] | undefined,
): Promise<{ readonly rows: number }> {
  const { client, batches } = copying
  const name = await resolveTable(client, parseTableName(tableName))
  const table = await findTable(client, name)
  if (table === null) throw noTable(name)
  const first = await batches.first()
  if (first === null) return { rows: 0 }
  const names = columns ?? Object.keys(first)
  batches.begin(names, columns === undefined ? 'refused' : 'left out')
  const mapping = mapColumns(table, names)
  const target = { table: name, columns: mapping.names }
  const plan = new RowPlan(mapping.columns)
  return allOrNothing(client, () => copyBatches(copying, target, plan))
}

async function copyBatches(
  { client, batches, pool }: Copying,
  target: CopyTarget,
  plan: RowPlan,
): Promise<{ readonly rows: number }> {
  const cursor = new RowCursor()
  const begin = async (format: CopyFormat): Promise<CopyIn> => {
    const copy = new CopyIn(copySql(target, format))
    copy.ended.catch((error: unknown) => batches.interrupt(toError(error)))
    await copy.begin(client)
    return copy
  }
  let rows = 0
  let taken = 0 // more than rows where a trigger leaves some out
  try {
    while (!batches.done) {
      const source = { straight: null, resident: null, chunks: () => batches.take(CHUNKS_PER_COPY) }
      const parts = measured(encodeChunk(source, plan, cursor, pool), cursor, batches)
      rows += await copyParts(parts, pool, begin)
      taken += cursor.row
    }
    return { rows }
  } catch (error) {
    throw numbered(error, taken, target)
  }
}

/** Tells the batches how large their rows are. */
async function* measured(
  parts: AsyncIterable<CopyPart>,
  cursor: RowCursor,
  batches: RowBatches,
): AsyncGenerator<CopyPart> {
  let bytes = 0
  for await (const part of parts) {
    bytes += part.block.length
    batches.encoded(bytes, cursor.row)
    yield part
  }
}

/** The error with the number of the row among all. */
function numbered(error: unknown, before: number, target: CopyTarget): unknown {
  if (error instanceof RefusedRow) {
    const { refusal } = error
    const record = before + error.row + 1
    const { column } = refusal.server
    const where = { record, ...(column === undefined ? {} : { column }) }
    return new TargetError('TARGET_ROW_REFUSED', `row ${String(record)}: ${refusal.message}`, {
      where,
      server: refusal.server,
      cause: refusal,
    })
  }
  if (error instanceof BadColumnValue) {
    const record = before + error.row + 1
    const column = target.columns[error.column]!
    const message = `row ${String(record)}, column "${column}": ${error.message} is no value of a column`
    return new SourceError('SOURCE_BAD_ROW', message, { where: { record, column }, cause: error })
  }
  return error
}
