import { type Client, escapeLiteral } from 'pg'
import type { Range } from '../chunk/range.ts'
import { quoteIdentifier } from '../core/identifier.ts'

/** What the claims of a chunk refer to. Plain, it goes to the lanes' threads. */
export interface ClaimScope {
  readonly stateSchema: string
  readonly job: number
  readonly epoch: number
  readonly input: number
  readonly run: number
  /** Where a crash of the server empties the table: then nothing is claimed after one. */
  readonly unlogged?: boolean
}

/** What is stored with a claim, beside its range. */
export interface ClaimCounts {
  /** Rows. */
  readonly loaded: number
  /** Rows that are kept out of the table, with their reasons. */
  readonly rejected: number
  /** Rows that stages made of a record beyond the first. What else was read is filtered. */
  readonly added: number
  /** CRC-32 of the range's bytes. */
  readonly checksum: number
  /** What stages have found out about the rows, as JSON; null where they find out nothing, or not yet. */
  readonly facts: string | null
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
  readonly rejected: number
  readonly checksum: number
}

/**
 * The statement that claims a range inside the chunk's transaction, before a byte of it moves. It inserts one row; none
 * when a newer run has taken the job over; and violates a unique key when the range was committed before: then the
 * transaction is to be rolled back.
 *
 * Why: the share lock on the job makes that newer run wait for this chunk, and shuts this one out afterwards. It is text
 *      without parameters so that it goes in one message with BEGIN and COPY: two round trips less, 1 ms of a chunk's
 *      150, in which the server would wait.
 */
export function claimSql(scope: ClaimScope, range: Range, counts: ClaimCounts): string {
  const schema = quoteIdentifier(scope.stateSchema)
  const values = [
    scope.input,
    range.start,
    range.end,
    range.firstRecord,
    range.firstLine,
    range.lines,
    range.records,
    counts.loaded,
    counts.rejected,
    counts.added,
    filteredOf(range, counts),
    counts.checksum,
    scope.run,
  ].map(integer)
  const kept =
    scope.unlogged === true
      ? ` and exists (select from ${schema}.crash_mark where crash_mark.job = ${integer(scope.job)})`
      : ''
  return `with fence as (select id from ${schema}.job where id = ${integer(scope.job)} and epoch = ${integer(scope.epoch)}${kept} for share)
    insert into ${schema}.claim (job, input, start_byte, end_byte, first_record, first_line, lines,
                                 read, loaded, rejected, added, filtered, checksum, run, facts)
    select id, ${values.join(', ')}, ${json(counts.facts)} from fence`
}

/** The statement that sets what is stored with a claim, where less was known when the range was claimed. */
export function recountSql(scope: ClaimScope, range: Range, counts: ClaimCounts): string {
  return `update ${quoteIdentifier(scope.stateSchema)}.claim
    set loaded = ${integer(counts.loaded)}, rejected = ${integer(counts.rejected)}, added = ${integer(counts.added)},
        filtered = ${integer(filteredOf(range, counts))}, facts = ${json(counts.facts)}
    where job = ${integer(scope.job)} and input = ${integer(scope.input)} and start_byte = ${integer(range.start)}`
}

function filteredOf({ records }: Range, { loaded, rejected, added }: ClaimCounts): number {
  return records + added - loaded - rejected
}

function json(text: string | null): string {
  return text === null ? 'null' : `${escapeLiteral(text)}::jsonb`
}

/** A number as SQL text, and nothing but a number. */
function integer(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error(`not an integer: ${String(value)}`)
  return String(value)
}

/** What came of the rows of a committed range, null when it is not committed: the only truth after a lost connection. */
export async function claimedRows(
  client: Client,
  scope: ClaimScope,
  range: Range,
): Promise<Pick<ClaimCounts, 'loaded' | 'rejected'> | null> {
  const schema = quoteIdentifier(scope.stateSchema)
  const result = await client.query<{ loaded: string; rejected: string }>(
    `select loaded, rejected from ${schema}.claim where job = $1 and input = $2 and start_byte = $3`,
    [scope.job, scope.input, range.start],
  )
  const row = result.rows[0]
  return row === undefined ? null : { loaded: Number(row.loaded), rejected: Number(row.rejected) }
}

/** Bytes of an input that are claimed. */
export async function claimedBytes(
  client: Client,
  stateSchema: string,
  input: number,
): Promise<number> {
  const result = await client.query<{ bytes: string }>(
    `select coalesce(sum(end_byte - start_byte), 0) as bytes from ${quoteIdentifier(stateSchema)}.claim where input = $1`,
    [input],
  )
  return Number(result.rows[0]!.bytes)
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
            lines, read, loaded, rejected, checksum
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
    rejected: Number(row.rejected),
    checksum: Number(row.checksum),
  }))
}

/** What stages have found out about the rows of each committed range, by stage, in the order of the file. */
export async function readFacts(
  client: Client,
  stateSchema: string,
  input: number,
): Promise<(readonly unknown[])[]> {
  const schema = quoteIdentifier(stateSchema)
  const result = await client.query<{ facts: readonly unknown[] }>(
    `select facts from ${schema}.claim where input = $1 and facts is not null order by start_byte`,
    [input],
  )
  return result.rows.map(({ facts }) => facts)
}
