import type { BadRecord } from '../../chunk/fields.ts'
import {
  type MillraceError,
  SourceError,
  type StageCode,
  StageError,
  TargetError,
  type Where,
} from '../../core/errors.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import { recordNumber } from '../../source/csv/locate.ts'
import type { BadColumnValue } from '../../copy/text-rows.ts'
import type { StageFailure } from '../../stage/stage-list.ts'
import type { InputShape, RangeBytes } from './lane-protocol.ts'

/** The error for a record that cannot become a row. */
export function badRecordError(
  bad: BadRecord,
  input: InputShape,
  { range, buffer }: RangeBytes,
): MillraceError {
  const bytes = Buffer.from(buffer, 0, bad.byte)
  const where: Where = {
    source: input.source,
    record: range.firstRecord + bad.record,
    line: range.firstLine + countLines(bytes, input),
    byte: range.start + bad.byte,
  }
  return new SourceError('SOURCE_BAD_ROW', `${placeText(where)}: ${bad.reason}`, {
    where,
    hint: badRowHint(bad.reason),
  })
}

/** What places are found with. */
interface Reader {
  readonly engine: CsvEngine
  readonly input: InputShape
}

/** The error for a row of the index that the server refused, with its place in the input. */
export function refusedRowError(refusal: TargetError, place: Where): MillraceError {
  const where: Where = {
    ...place,
    ...(refusal.server.column === undefined ? {} : { column: refusal.server.column }),
  }
  const state =
    refusal.server.sqlstate === undefined ? '' : ` (SQLSTATE ${refusal.server.sqlstate})`
  return new TargetError(
    'TARGET_ROW_REFUSED',
    `${placeText(where)}: the server says: ${refusal.message}${state}`,
    {
      where,
      server: refusal.server,
      cause: refusal,
      hint: 'change what refuses it in the database (a constraint, a missing key) and run the same command again: it goes on from there; or mend the file and begin anew with --restart',
    },
  )
}

/** The error for a row that a stage could not take, with its place in the input. */
export function stageFailureError(
  { stage, code, reason, columns, cause }: StageFailure,
  where: Where,
): StageError {
  const of = columns.length === 0 ? '' : ` (columns it reads: ${columns.join(', ')})`
  const message = `${placeText(where)}: stage ${stage}${of}: ${reason}`
  return new StageError(code, message, { where, cause, hint: stageHint(code) })
}

function stageHint(code: StageCode): string {
  return code === 'STAGE_LIMIT'
    ? 'allow the stage more with maxMemory, and run the same command again: it goes on from there'
    : 'change the stage so that it takes such rows, or filter them out before it; with another stage, begin anew with --restart'
}

/** The error for a value that a stage gave for a row of the index, and its column cannot hold. */
export function badValueError(error: BadColumnValue, column: string, place: Where): StageError {
  const where = { ...place, column }
  return new StageError('STAGE_VALUE', `${placeText(where)}: a stage gave it ${error.message}`, {
    where,
    cause: error,
    hint: 'give a string, number, bigint, boolean, Date, Uint8Array, or an array or object of these',
  })
}

/** The place of a row of the index. */
export function placeOfRow(
  row: number,
  { engine, input }: Reader,
  { range, buffer, length }: RangeBytes,
): Where {
  const bytes = Buffer.from(buffer, 0, length)
  const { skipped } = engine.index(bytes, input.fieldCount, range.records)
  const record = skipped.reduce((found, blank) => (blank <= found ? found + 1 : found), row)
  const start = recordNumber(engine, bytes, record)
  return {
    source: input.source,
    record: range.firstRecord + start.record,
    line: range.firstLine + start.lines,
    byte: range.start + start.byte,
  }
}

function placeText({ source, record, line, column }: Where): string {
  const inLine = line === undefined ? '' : ` (line ${String(line)})`
  const inColumn = column === undefined ? '' : `, column "${column}"`
  return `${source ?? 'input'}: record ${String(record)}${inLine}${inColumn}`
}

function countLines(bytes: Buffer, input: InputShape): number {
  const terminator = input.dialect.lineEnd === 'cr' ? 13 : 10
  let lines = 0
  for (let at = bytes.indexOf(terminator); at !== -1; at = bytes.indexOf(terminator, at + 1)) {
    lines++
  }
  return lines
}

function badRowHint(reason: string): string {
  const again = 'mend the file and begin anew with --restart'
  if (reason.includes('UTF-8'))
    return `convert the file to UTF-8 (iconv -f ... -t UTF-8); or ${again}`
  if (reason.includes('field')) return `check --delimiter and --quote; or ${again}`
  return again
}
