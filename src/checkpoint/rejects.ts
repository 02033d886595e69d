import type { Client } from 'pg'
import type { Range } from '../chunk/range.ts'
import type { RejectReason } from '../core/errors.ts'
import { quoteIdentifier } from '../core/identifier.ts'
import type { ClaimScope } from './claims.ts'

/** A row that is kept out of the table, and why. */
export interface Reject {
  /** Where its record is in the input: record and line from 1, byte from 0. */
  readonly record: number
  readonly line: number
  readonly byte: number
  /** Which of the rows that stages made of the record, by each such stage, from 0; empty for the record as a whole. */
  readonly part: readonly number[]
  /** The bytes of the record, without the line end. */
  readonly raw: Uint8Array
  readonly column: string | null
  /** SQLSTATE, or a code of ours. */
  readonly code: string
  readonly constraint: string | null
  /** May hold values of the row: for the table of rejects, not for a log. */
  readonly message: string
  readonly stage: string | null
}

/** Which row of its record a reject is, as text of an array; null for the record as a whole. */
export function partText(part: readonly number[]): string | null {
  return part.length === 0 ? null : `{${part.join()}}`
}

const COLUMNS =
  'job, input, run, start_byte, record, line, byte, part, raw, column_name, code, constraint_name, message, stage'

/** The COPY that rejects are kept with, in the transaction of their chunk. */
export function rejectsCopySql({ stateSchema }: ClaimScope): string {
  return `copy ${quoteIdentifier(stateSchema)}.reject (${COLUMNS}) from stdin`
}

/** Rejects of a range as lines of COPY text. */
export function rejectsText(
  { job, input, run }: ClaimScope,
  { start }: Range,
  rejects: readonly Reject[],
): string {
  const lines = rejects.map((reject) => {
    const { record, line, byte, part, raw, column, code, constraint, message, stage } = reject
    const hex = `\\\\x${Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('hex')}`
    const texts = [column, code, constraint, message, stage].map(textOf)
    return [
      job,
      input,
      run,
      start,
      record,
      line,
      byte,
      partText(part) ?? '\\N',
      hex,
      ...texts,
    ].join('\t')
  })
  return lines.map((line) => `${line}\n`).join('')
}

/** A value in COPY text; NUL, which the server cannot keep, is left out. */
function textOf(value: string | null): string {
  return value === null
    ? '\\N'
    : value.replaceAll('\0', '').replace(/[\\\n\r\t]/g, (c) => ESCAPES[c]!)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/** The most common reasons for which rows of an input were rejected, by any run, and not loaded since. */
export async function rejectReasons(
  client: Client,
  stateSchema: string,
  input: number,
): Promise<RejectReason[]> {
  const found = await client.query<Record<keyof RejectReason, string | null>>(
    `select code, column_name as "column", constraint_name as "constraint", stage, count(*) as rows,
            (pg_catalog.array_agg(record order by byte))[1] as record, (pg_catalog.array_agg(line order by byte))[1] as line
       from ${quoteIdentifier(stateSchema)}.reject where input = $1 and replayed_at is null
      group by 1, 2, 3, 4 order by count(*) desc, min(byte) limit ${String(MOST_REASONS)}`,
    [input],
  )
  return found.rows.map(({ code, column, constraint, stage, rows, record, line }) => ({
    code: String(code),
    column,
    constraint,
    stage,
    rows: Number(rows),
    record: Number(record),
    line: Number(line),
  }))
}

const MOST_REASONS = 20
