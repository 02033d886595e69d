import { CsvError, Parser } from 'csv-parse'
import type { BadRecord } from '../../chunk/fields.ts'
import { SourceError } from '../../core/errors.ts'
import { detectLineEnd } from './detect.ts'
import type { CsvDialect, LineEnd } from './dialect.ts'
import type { CsvEngine, Indexed, Scan } from './engine.ts'
import { OffsetStore } from './offset-store.ts'

/** A dialect as bytes. `quote` is null for a dialect without one. */
interface Syntax {
  readonly delimiter: Buffer
  readonly quote: Buffer | null
  readonly escape: Buffer | null
  readonly comment: Buffer | null
  readonly lineEnd: Buffer
  /** Ends a record wherever it stands outside quotes: LF, or CR in a file of CRs. An LF alone ends one too in a file
   *  of CRLFs, so that a line end of the wrong kind costs one record and not the file. */
  readonly terminator: number
  readonly skipBlank: boolean
}

/** A record that csv-parse has read: bytes[start, end), line end included, and its fields, one character per byte. */
interface Read {
  readonly start: number
  readonly end: number
  readonly fields: readonly string[]
  /** What csv-parse found wrong; null for a sound record. `fields` is empty otherwise. */
  readonly reason: string | null
}

const LF = 10
const CR = 13
const lineEnds: Record<LineEnd, Buffer> = {
  lf: Buffer.from('\n'),
  crlf: Buffer.from('\r\n'),
  cr: Buffer.from('\r'),
}

/**
 * The general CSV engine: csv-parse, for every dialect the fast engine does not read.
 *
 * Shape:  `lineEnd` 'auto' is found out from the first record of the bytes given, so a caller that cuts a file in
 *         ranges finds it out once and says so. Lines that are skipped (comments, blank ones) belong to the range but
 *         are no records, so a scan can end behind such lines with 0 records. A chunk's bytes are a copy of the range
 *         in which quoted fields are decoded in place.
 * Rule:   a quote where csv-parse allows none makes a bad record, and the record goes as far as PostgreSQL's reader
 *         would take it (a quote toggles wherever it stands), so both engines cut at the same places. Its fields are
 *         not loaded as PostgreSQL would load them: that drops quotes, and here someone chose an unusual dialect.
 * Errors: SOURCE_UNTERMINATED_QUOTE when the input ends inside quotes, SOURCE_BAD_ROW for what csv-parse refuses and
 *         this engine does not know.
 */
export function generalEngine(dialect: CsvDialect): CsvEngine {
  const store = new OffsetStore()
  return {
    structure: null,
    scan: (bytes, atEnd) => scan(bytes, atEnd, dialect),
    index: (bytes, fieldCount) => index(bytes, fieldCount, dialect, store),
  }
}

function scan(bytes: Buffer, atEnd: boolean, dialect: CsvDialect): Scan {
  const syntax = syntaxOf(dialect, bytes, atEnd)
  if (syntax === null) return { end: 0, records: 0, lines: 0 }
  const { terminator } = syntax
  let end = 0
  let records = 0
  const open = readRecords(bytes, syntax, (record) => {
    // The parser takes the bytes for the whole input, so what it gives last may go on behind them.
    if (!atEnd && bytes[record.end - 1] !== terminator) return
    end = record.end
    records++
  })
  if (atEnd && open >= 0) throw unterminated(bytes, open, records + 1, syntax)
  end = atEnd ? bytes.length : skipLines(bytes, end, syntax)
  const partLine = end > 0 && bytes[end - 1] !== terminator ? 1 : 0
  return { end, records, lines: countLines(bytes, end, syntax) + partLine }
}

function index(
  bytes: Buffer,
  fieldCount: number,
  dialect: CsvDialect,
  store: OffsetStore,
): Indexed {
  const syntax = syntaxOf(dialect, bytes, true)!
  const arena = Buffer.from(bytes)
  const place = { bytes, arena, syntax, nullText: oneCharPerByte(dialect.nullText), store }
  const bad: BadRecord[] = []
  let width = fieldCount
  let record = 0
  let rowCount = 0
  const open = readRecords(bytes, syntax, (read) => {
    if (width === 0) width = read.fields.length
    const reason =
      read.reason ??
      raggedReason(read.fields.length, width) ??
      placeFields(read, rowCount * width * 2, place)
    if (reason === null) rowCount++
    else bad.push({ record, byte: read.start, reason })
    record++
  })
  if (open >= 0) throw unterminated(bytes, open, record + 1, syntax)
  const fields = { bytes: arena, rowCount, fieldCount: width, offsets: store.offsets, quote: -1 }
  return { fields, bad, skipped: [] }
}

/** The syntax; null when the bytes do not tell the line end yet. */
function syntaxOf(dialect: CsvDialect, bytes: Buffer, atEnd: boolean): Syntax | null {
  const lineEnd =
    dialect.lineEnd === 'auto'
      ? (detectLineEnd(bytes, dialect, atEnd) ?? (atEnd ? 'lf' : null))
      : dialect.lineEnd
  if (lineEnd === null) return null
  return {
    delimiter: Buffer.from(dialect.delimiter),
    quote: bytesOrNull(dialect.quote),
    escape: bytesOrNull(dialect.escape),
    comment: bytesOrNull(dialect.comment),
    lineEnd: lineEnds[lineEnd],
    terminator: lineEnd === 'cr' ? CR : LF,
    skipBlank: dialect.emptyLines === 'skip',
  }
}

function bytesOrNull(text: string): Buffer | null {
  return text === '' ? null : Buffer.from(text)
}

function oneCharPerByte(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/**
 * Reads every record, sound or not, in order.
 *
 * Shape: returns the byte of a quote that is never closed, where reading stopped; -1 when all was read.
 */
function readRecords(bytes: Buffer, syntax: Syntax, visit: (record: Read) => void): number {
  let at = 0
  for (;;) {
    const base = at
    const error = parseRecords(bytes.subarray(base), syntax, (fields, parsed) => {
      const start = skipLines(bytes, at, syntax)
      at = base + parsed
      visit({ start, end: at, fields, reason: null })
    })
    if (error === null) return -1
    const start = skipLines(bytes, at, syntax)
    const { end, open } = recordEnd(bytes, start, syntax)
    if (open >= 0) return open
    at = end
    visit({ start, end, fields: [], reason: reasonOf(error, start) })
  }
}

/**
 * Runs csv-parse over the bytes until it finds an error; `visit` gets the fields and the byte after the record.
 *
 * Why: latin1 makes a character of every byte, so lengths are exact and bytes that are not UTF-8 survive.
 */
function parseRecords(
  bytes: Buffer,
  syntax: Syntax,
  visit: (fields: string[], end: number) => void,
): CsvError | null {
  const { lineEnd } = syntax
  const parser = new RecordParser({
    encoding: 'latin1',
    delimiter: syntax.delimiter,
    quote: syntax.quote,
    escape: syntax.escape,
    comment: syntax.comment === null ? null : syntax.comment.toString('latin1'),
    comment_no_infix: true,
    record_delimiter: lineEnd.length === 2 ? [lineEnd, lineEnds.lf] : lineEnd,
    relax_column_count: true,
    skip_empty_lines: syntax.skipBlank,
  })
  return parser.run(bytes, visit)
}

/**
 * csv-parse without the stream around it: records go to a function as they are found, in the same turn.
 *
 * Why: `info.bytes` read here is free. With `on_record` or `info: true` csv-parse copies its context for each record,
 *      and with `cast`, which would tell if a field was quoted, for each field: 5 and 0.6 MB/s instead of 16 on
 *      records of three short fields (Node 20, 2 cores).
 */
class RecordParser extends Parser {
  #visit: (fields: string[], end: number) => void = () => undefined

  run(bytes: Buffer, visit: (fields: string[], end: number) => void): CsvError | null {
    this.#visit = visit
    let failed: Error | null = null
    const done = (error?: Error | null): void => {
      failed ??= error ?? null
    }
    this._transform(bytes, 'latin1', done)
    if (failed === null) this._flush(done)
    return asCsvError(failed)
  }

  override push(fields: string[] | null): boolean {
    if (fields !== null) this.#visit(fields, this.info.bytes)
    return true
  }
}

function asCsvError(error: Error | null): CsvError | null {
  if (error === null || error instanceof CsvError) return error
  throw error
}

/** Why csv-parse refused a record; its own message quotes the value, so it is not passed on. */
function reasonOf(error: CsvError, byte: number): string {
  const column: unknown = error['column']
  const field = typeof column === 'number' ? String(column + 1) : '1'
  switch (String(error.code)) {
    case 'INVALID_OPENING_QUOTE':
      return `has a quote inside field ${field}, which does not begin with one`
    case 'CSV_INVALID_CLOSING_QUOTE':
    case 'CSV_QUOTE_NOT_CLOSED':
      return textAfterQuote(field)
    default:
      throw new SourceError('SOURCE_BAD_ROW', `cannot be read as CSV (${String(error.code)})`, {
        where: { byte },
      })
  }
}

function textAfterQuote(field: string): string {
  return `has text after the closing quote of field ${field}, expected a delimiter or a line end`
}

function raggedReason(fields: number, expected: number): string | null {
  if (fields === expected) return null
  return `has ${String(fields)} field${fields === 1 ? '' : 's'}, expected ${String(expected)}`
}

/** Skips the whole lines at `at` that are no records: comments, and blank lines where the dialect skips them. */
function skipLines(bytes: Buffer, at: number, syntax: Syntax): number {
  const { comment, lineEnd, terminator, skipBlank } = syntax
  for (;;) {
    if (skipBlank && bytes[at] === terminator) at++
    else if (skipBlank && has(bytes, at, lineEnd)) at += lineEnd.length
    else if (comment !== null && has(bytes, at, comment)) {
      const end = bytes.indexOf(terminator, at)
      if (end < 0) return at
      at = end + 1
    } else return at
  }
}

/** Where the record at `at` ends by PostgreSQL's rule, and the quote that is still open there, or -1. */
function recordEnd(bytes: Buffer, at: number, syntax: Syntax): { end: number; open: number } {
  const { quote, escape, terminator } = syntax
  let open = -1
  while (at < bytes.length) {
    if (open < 0) {
      if (bytes[at] === terminator) return { end: at + 1, open }
      if (quote !== null && has(bytes, at, quote)) open = at
    } else if (quote !== null) {
      const escaped = escapedAt(bytes, at, quote, escape)
      if (escaped > 0) at += escaped - 1
      else if (has(bytes, at, quote)) open = -1
    }
    at++
  }
  return { end: bytes.length, open }
}

/** Bytes of the escape and what it protects, a quote or an escape; 0 when there is none at `at`. */
function escapedAt(bytes: Buffer, at: number, quote: Buffer, escape: Buffer | null): number {
  if (escape === null || !has(bytes, at, escape)) return 0
  const next = at + escape.length
  if (has(bytes, next, quote)) return escape.length + quote.length
  return has(bytes, next, escape) ? escape.length * 2 : 0
}

/** What the fields of a range are written to and read from. */
interface Place {
  readonly bytes: Buffer
  readonly arena: Buffer
  readonly syntax: Syntax
  readonly nullText: string
  readonly store: OffsetStore
}

/**
 * Decodes the quoted fields of a record in place and writes the offsets; says what is wrong with it, if anything is.
 *
 * Why: csv-parse takes an escape from before any character, PostgreSQL only from before a quote or an escape; and
 *      it takes a line end of another kind as data where PostgreSQL refuses the row.
 */
function placeFields(read: Read, k: number, place: Place): string | null {
  const { bytes, syntax, nullText, store } = place
  const { delimiter, quote } = syntax
  store.reserve(k + read.fields.length * 2)
  const { offsets } = store
  const end = contentEnd(bytes, read, syntax)
  let at = read.start
  for (let f = 0; f < read.fields.length; f++) {
    const field = read.fields[f]!
    if (quote !== null && has(bytes, at, quote)) {
      const decoded = decodeQuoted(at, end, place)
      offsets[k++] = at
      offsets[k++] = decoded.written
      at = decoded.next
    } else {
      const stray = strayLineEnd(field)
      if (stray !== null) return stray
      const isNull = field === nullText
      offsets[k++] = isNull ? -1 : at
      at += field.length
      offsets[k++] = isNull ? -1 : at
    }
    const isLast = f === read.fields.length - 1
    if (isLast ? at !== end : !has(bytes, at, delimiter)) return textAfterQuote(String(f + 1))
    at += delimiter.length
  }
  const isBare = end === read.end - 1 && syntax.lineEnd.length === 2
  return isBare ? 'ends in a bare line feed where the line end of this file is CR LF' : null
}

/** The end of a record without its line end. */
function contentEnd(bytes: Buffer, { start, end }: Read, { lineEnd, terminator }: Syntax): number {
  if (end - lineEnd.length >= start && has(bytes, end - lineEnd.length, lineEnd)) {
    return end - lineEnd.length
  }
  return bytes[end - 1] === terminator ? end - 1 : end
}

/** Decodes the quoted field at `at` to the same place in the arena. */
function decodeQuoted(
  at: number,
  end: number,
  { bytes, arena, syntax }: Place,
): { next: number; written: number } {
  const quote = syntax.quote!
  const escape = syntax.escape
  let written = at
  at += quote.length
  while (at < end) {
    const escaped = escapedAt(bytes, at, quote, escape)
    if (escaped > 0) {
      at += escape!.length
      for (let n = escaped - escape!.length; n > 0; n--) arena[written++] = bytes[at++]!
    } else if (has(bytes, at, quote)) return { next: at + quote.length, written }
    else arena[written++] = bytes[at++]!
  }
  return { next: end, written }
}

function strayLineEnd(field: string): string | null {
  if (field.includes('\r')) {
    return 'holds a carriage return outside quotes that is not the line end of this file'
  }
  if (field.includes('\n')) {
    return 'holds a line feed outside quotes that is not the line end of this file'
  }
  return null
}

function has(bytes: Buffer, at: number, wanted: Buffer): boolean {
  if (bytes[at] !== wanted[0]) return false
  for (let i = 1; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false
  return true
}

function countLines(bytes: Buffer, end: number, { terminator }: Syntax): number {
  let lines = 0
  for (let i = 0; i < end; i++) if (bytes[i] === terminator) lines++
  return lines
}

function unterminated(bytes: Buffer, byte: number, record: number, syntax: Syntax): SourceError {
  return new SourceError(
    'SOURCE_UNTERMINATED_QUOTE',
    'the input ends inside a quoted field: the closing quote is missing',
    {
      where: { record, line: countLines(bytes, byte, syntax) + 1, byte },
      hint: "mend the record, or set --quote if the file uses another quote or none ('')",
    },
  )
}
