import { chunkOf } from '../../chunk/chunk.ts'
import { SourceError, type Where } from '../../core/errors.ts'
import { findBadText } from './check-text.ts'
import { detectDialect } from './detect.ts'
import type { CsvDialect } from './dialect.ts'
import { recordAt } from './locate.ts'
import { selectEngine } from './select-engine.ts'

/** A CSV file that is held as a whole. */
export interface WholeCsv {
  /** Of the header. */
  readonly names: readonly string[]
  /** Behind the header. */
  readonly rowCount: number
  /** A field of a row, from 0; null for NULL. */
  text(row: number, field: number): string | null
  /** The number of a row among the records of the file, from 1. */
  record(row: number): number
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Reads a CSV file that has a header, and is small enough to be held.
 *
 * Shape:  what is not `given` of its dialect is found out; blank lines are skipped. Only the bytes and the places of the
 *         fields are held.
 * Errors: SOURCE_BAD_ROW, SOURCE_UNTERMINATED_QUOTE.
 */
export async function readWhole(
  name: string,
  content: Buffer,
  given: Omit<Partial<CsvDialect>, 'header'>,
): Promise<WholeCsv> {
  const bom = content.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0
  const bytes = content.subarray(bom)
  const { dialect } = detectDialect(bytes, { emptyLines: 'skip', ...given, header: true })
  const engine = await selectEngine(dialect)
  try {
    if (bytes.length === 0) return { names: [], rowCount: 0, text: () => null, record: () => 1 }
    const { records } = engine.scan(bytes, true)
    const badText = findBadText(engine, bytes)
    const { fields, bad, skipped } = engine.index(bytes, 0, records)
    const first = badText ?? bad[0]
    if (first !== undefined) {
      const { lines } = recordAt(engine, bytes, first.byte)
      const where = { record: first.record + 1, line: lines + 1, byte: first.byte }
      throw new SourceError('SOURCE_BAD_ROW', first.reason, { where })
    }
    const { columns } = chunkOf(fields)
    return {
      names: columns.map((column) => column.text(0) ?? ''),
      rowCount: Math.max(0, fields.rowCount - 1),
      text: (row, field) => columns[field]!.text(row + 1),
      record: (row) => skipped.reduce((at, blank) => (blank <= at ? at + 1 : at), row + 1) + 1,
    }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    const where: Where = { ...error.where, source: name }
    const place = `${name}: record ${String(where.record)} (line ${String(where.line)})`
    throw new SourceError(error.code, `${place}: ${error.message}`, { where, cause: error })
  }
}
