import type { BadRecord } from '../../chunk/fields.ts'
import { SourceError } from '../../core/errors.ts'
import type { CsvDialect, LineEnd } from './dialect.ts'
import type { CsvEngine, Indexed, Scan } from './engine.ts'
import { countFields, indexCareful } from './index-careful.ts'
import { cleanEnd, indexClean, type Structure } from './index-clean.ts'
import { nullFields } from './null-text.ts'
import { OffsetStore } from './offset-store.ts'
import { scanRecords } from './scan-records.ts'

/** Whether the fast engine reads this dialect: delimiter and quote of one byte, the quote its own escape. */
export function isFastDialect(dialect: CsvDialect): boolean {
  return (
    Buffer.byteLength(dialect.delimiter) === 1 &&
    Buffer.byteLength(dialect.quote) === 1 &&
    dialect.escape === dialect.quote &&
    dialect.comment === ''
  )
}

/**
 * The fast CSV engine: PostgreSQL's CSV rules over bytes.
 *
 * Shape:  `lineEnd` 'auto' is taken as LF; openers of a file find it out first, see detectLineEnd.
 * Errors: SOURCE_UNTERMINATED_QUOTE from scan() when the input ends inside quotes.
 */
export function fastEngine(dialect: CsvDialect): CsvEngine {
  const structure = structureOf(dialect)
  const store = new OffsetStore()
  const skipBlank = dialect.emptyLines === 'skip'

  const straight = !skipBlank && dialect.nullText === '' && structure.terminator === 10
  return {
    structure: straight ? structure : null,

    scan(bytes, atEnd) {
      const scan = scanRecords(bytes, structure.quote, structure.terminator)
      return atEnd && scan.end < bytes.length ? withLastRecord(bytes, scan, structure) : scan
    },

    index(bytes, fieldCount, records): Indexed {
      const width = fieldCount === 0 ? countFields(bytes, 0, structure) : fieldCount
      const bad: BadRecord[] = []
      const skipped: number[] = []
      const blanks = skipBlank ? skipped : null
      store.reserve(records * width * 2)
      const indexing = { bytes, structure, fieldCount: width, store }
      const place = { byte: 0, record: 0, rows: 0 }
      // A blank line is a row of one field to the clean indexer.
      const end = skipBlank && width === 1 ? 0 : cleanEnd(bytes, structure)
      while (place.byte < bytes.length) {
        indexClean(indexing, end, place)
        const odd = place.byte < end ? 1 : Infinity
        indexCareful(indexing, odd, place, bad, blanks)
      }
      const { quote } = structure
      const { rows: rowCount } = place
      const fields = { bytes, rowCount, fieldCount: width, offsets: store.offsets, quote }
      if (dialect.nullText !== '') nullFields(fields, dialect)
      return { fields, bad, skipped }
    },
  }
}

function structureOf(dialect: CsvDialect): Structure {
  const lineEnd: LineEnd = dialect.lineEnd === 'auto' ? 'lf' : dialect.lineEnd
  return {
    delimiter: Buffer.from(dialect.delimiter)[0]!,
    quote: Buffer.from(dialect.quote)[0]!,
    terminator: lineEnd === 'cr' ? 13 : 10,
    crlf: lineEnd === 'crlf',
    emptyIsNull: dialect.nullText === '',
  }
}

/** The scan with the bytes behind the last line end as one more record. */
function withLastRecord(bytes: Buffer, scan: Scan, { quote, terminator }: Structure): Scan {
  let inside = false
  let lines = 1
  let opened = 0
  let openedLine = 0
  for (let i = scan.end; i < bytes.length; i++) {
    if (bytes[i] === quote) {
      inside = !inside
      // The second of a doubled quote goes on with the field, it opens none.
      if (inside && bytes[i - 1] !== quote) {
        opened = i
        openedLine = scan.lines + lines
      }
    } else if (bytes[i] === terminator) lines++
  }
  if (inside) {
    throw new SourceError(
      'SOURCE_UNTERMINATED_QUOTE',
      'the input ends inside a quoted field: the closing quote is missing',
      { where: { record: scan.records + 1, line: openedLine, byte: opened } },
    )
  }
  return { end: bytes.length, records: scan.records + 1, lines: scan.lines + lines }
}
