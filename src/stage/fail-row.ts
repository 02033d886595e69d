import type { Chunk } from '../chunk/chunk.ts'
import { BadText } from '../chunk/column.ts'
import { toError } from '../core/errors.ts'
import { NotARow } from './row-builder.ts'
import type { StageReport } from './stage.ts'

/** Gives a row up on which a stage's function has thrown, or that has no value for it. */
export function failRow(
  report: StageReport,
  row: number,
  reader: { touched(): string[] },
  thrown: unknown,
): void {
  const cause = toError(thrown)
  const columns = reader.touched()
  if (cause instanceof BadText) {
    report.fail({ row, code: 'STAGE_CAST', reason: cause.message, columns, cause })
  } else {
    report.fail({ row, code: 'STAGE_THREW', reason: reasonOf(cause), columns, cause })
  }
}

/** Not the message of what was thrown: it may hold a row's values. Its class and its place help as much. */
function reasonOf(cause: Error): string {
  if (cause instanceof NotARow) return cause.message
  return `its function ${thrownBy(cause)}`
}

/** What was thrown, and where; without its message. */
export function thrownBy(cause: Error): string {
  const place = /\(?([^()\s/\\]+:\d+:\d+)\)?$/m.exec(cause.stack ?? '')?.[1]
  return `threw ${cause.name}${place === undefined ? '' : ` at ${place}`}`
}

/** The chunk without the rows that were given up. */
export function withoutFailed(chunk: Chunk, report: StageReport): Chunk {
  if (report.failures.length === 0) return chunk
  const failed = new Set(report.failures.map(({ row }) => row))
  const rows = chunk.selection ?? Int32Array.from({ length: chunk.rowCount }, (_, row) => row)
  return { ...chunk, selection: rows.filter((row) => !failed.has(row)) }
}
