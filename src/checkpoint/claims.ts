import type { Client } from 'pg'
import type { Range } from '../chunk/range.ts'
import { quoteIdentifier } from '../core/identifier.ts'
import { fencedError } from './job.ts'

/** What the claims of a chunk refer to. Plain, it goes to the lanes' threads. */
export interface ClaimScope {
  readonly stateSchema: string
  readonly job: number
  readonly epoch: number
  readonly input: number
  readonly run: number
}

/** What is stored with a claim, beside its range. */
export interface ClaimCounts {
  /** Rows; what else the range holds are blank lines that the dialect skips. */
  readonly loaded: number
  /** CRC-32 of the range's bytes. */
  readonly checksum: number
}

/** A range that is committed for a job. */
export interface Claim {
  readonly start: number
  readonly end: number
  readonly firstRecord: number
  readonly firstLine: number
  readonly lines: number
  readonly read: number
  readonly loaded: number
  readonly checksum: number
}

/**
 * Claims a range inside the chunk's transaction, before a byte of it moves.
 *
 * Shape:  'claimed', or 'done' when the range was committed before; then the transaction is to be rolled back.
 * Errors: CHECKPOINT_FENCED when a newer run has taken the job over.
 * Why:    the share lock on the job makes that newer run wait for this chunk, and shuts this one out afterwards.
 */
export async function claimRange(
  client: Client,
  scope: ClaimScope,
  range: Range,
  counts: ClaimCounts,
): Promise<'claimed' | 'done'> {
  const schema = quoteIdentifier(scope.stateSchema)
  try {
    const result = await client.query({
      name: 'millrace-claim',
      text: `with fence as (select id from ${schema}.job where id = $1 and epoch = $2 for share)
        insert into ${schema}.claim (job, input, start_byte, end_byte, first_record, first_line, lines,
                                     read, loaded, filtered, checksum, run)
        select id, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint,
               $10::bigint, $11::bigint, $12::bigint, $13::bigint from fence`,
      values: [
        scope.job,
        scope.epoch,
        scope.input,
        range.start,
        range.end,
        range.firstRecord,
        range.firstLine,
        range.lines,
        range.records,
        counts.loaded,
        range.records - counts.loaded,
        counts.checksum,
        scope.run,
      ],
    })
    if (result.rowCount === 1) return 'claimed'
  } catch (error) {
    if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) return 'done'
    throw error
  }
  throw fencedError()
}

const UNIQUE_VIOLATION = '23505'

/** The rows that a committed range has loaded, null when it is not committed: the only truth after a lost connection. */
export async function claimedRows(
  client: Client,
  scope: ClaimScope,
  range: Range,
): Promise<number | null> {
  const schema = quoteIdentifier(scope.stateSchema)
  const result = await client.query<{ loaded: string }>(
    `select loaded from ${schema}.claim where job = $1 and input = $2 and start_byte = $3`,
    [scope.job, scope.input, range.start],
  )
  const row = result.rows[0]
  return row === undefined ? null : Number(row.loaded)
}

/** All claims of an input, in the order of the file. */
export async function readClaims(
  client: Client,
  stateSchema: string,
  input: number,
): Promise<Claim[]> {
  const schema = quoteIdentifier(stateSchema)
  const result = await client.query<Record<keyof Claim, string>>(
    `select start_byte as start, end_byte as "end", first_record as "firstRecord", first_line as "firstLine",
            lines, read, loaded, checksum
       from ${schema}.claim where input = $1 order by start_byte`,
    [input],
  )
  return result.rows.map((row) => ({
    start: Number(row.start),
    end: Number(row.end),
    firstRecord: Number(row.firstRecord),
    firstLine: Number(row.firstLine),
    lines: Number(row.lines),
    read: Number(row.read),
    loaded: Number(row.loaded),
    checksum: Number(row.checksum),
  }))
}
