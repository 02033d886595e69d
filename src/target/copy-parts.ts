import { asMessage, type BlockPool } from '../copy/block-pool.ts'
import type { CopyFormat, CopyPart } from '../copy/encode-chunk.ts'
import { TargetError } from '../core/errors.ts'
import { quoteIdentifier, quoteTable, type TableName } from '../core/identifier.ts'
import type { CopyIn } from './copy-in.ts'

/** Where rows go: the table, and the columns in the order of the COPY. Plain, it goes to the lanes' threads. */
export interface CopyTarget {
  readonly table: TableName
  readonly columns: readonly string[]
  /** Where the table is a staging table: what it stands for. */
  readonly staged?: StagedFor
}

/** The table that a staging table stands for. */
export interface StagedFor {
  /** The one whose keys its rows must not break either; null where nobody knows before they are published. */
  readonly target: TableName | null
  /** What the staging table and its constraints are called there. */
  readonly names: Readonly<Record<string, string>>
}

/** Only the rows that a condition holds for, where there is one. */
export function copySql({ table, columns }: CopyTarget, format: CopyFormat, where = ''): string {
  const names = columns.map((name) => quoteIdentifier(name)).join(', ')
  const condition = where === '' ? '' : ` where ${where}`
  return `copy ${quoteTable(table)} (${names}) from stdin (format ${format})${condition}`
}

/** A row that the server refused, by its place among the rows of the parts. */
export class RefusedRow extends Error {
  readonly row: number
  readonly refusal: TargetError
  constructor(row: number, refusal: TargetError) {
    super(refusal.message, { cause: refusal })
    this.row = row
    this.refusal = refusal
  }
}

/**
 * Sends encoded parts, one COPY after the other; returns the number of rows that the server counted.
 *
 * Shape:  `begin` begins each COPY. The blocks go back to their pool as soon as the kernel has their bytes.
 * Errors: RefusedRow when the server refuses a row; whatever else fails, the COPY under way is given up before.
 */
export async function copyParts(
  parts: AsyncIterable<CopyPart>,
  pool: BlockPool,
  begin: (format: CopyFormat) => Promise<CopyIn>,
): Promise<number> {
  let copy: CopyIn | null = null
  let firstRow = 0
  let rows = 0
  try {
    for await (const part of parts) {
      if (copy === null) {
        copy = await begin(part.format).catch((error: unknown) => {
          pool.give(part.block)
          throw error
        })
        firstRow = part.firstRow
      }
      // Not awaited: the kernel takes it while the next block is encoded. The pool bounds how many are under way.
      void copy.write(asMessage(part.block)).then(
        () => pool.give(part.block),
        () => pool.give(part.block), // end() below tells why
      )
      if (copy.failed) break
      if (part.ends) {
        rows += await copy.end()
        copy = null
      }
    }
    if (copy !== null) rows += await copy.end()
    return rows
  } catch (error) {
    if (copy !== null) await copy.fail('the client gave up')
    throw asRefusedRow(error, firstRow) ?? error
  }
}

function asRefusedRow(error: unknown, firstRow: number): RefusedRow | null {
  if (!(error instanceof TargetError) || error.copyLine === undefined) return null
  return new RefusedRow(firstRow + error.copyLine - 1, error)
}

/** The error for a server that took fewer rows than it was sent. */
export function rowsDropped(copied?: number, sent?: number): TargetError {
  const message =
    copied === undefined
      ? 'the server took fewer rows than it was sent'
      : `the server took ${String(copied)} rows of a chunk of ${String(sent)}`
  return new TargetError('TARGET_REFUSED', message, {
    hint: 'a trigger or rule of the table may drop rows; load into a plain table',
  })
}
