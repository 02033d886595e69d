import { CsvError, parse, type Options } from 'csv-parse/sync'
import type { BadRecord } from '../../chunk/chunk.ts'
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
    scan: (bytes, atEnd) => scan(bytes, atEnd, dialect),
    index: (bytes, fieldCount) => index(bytes, fieldCount, dialect, store),
  }
}

function scan(bytes: Buffer, atEnd: boolean, dialect: CsvDialect): Scan {
  const syntax = syntaxOf(dialect, bytes, atEnd)
  if (syntax === null) return { end: 0, records: 0, lines: 0 }
  let end = 0
  let records = 0
  const rest = readRecords(bytes, syntax, (record) => {
    // The parser takes the bytes for the whole input, so what it gives last may go on behind them.
    if (!atEnd && bytes[record.end - 1] !== syntax.terminator) return
    end = record.end
    records++
  })
  if (atEnd && rest.open >= 0) throw unterminated(bytes, rest.open, records + 1, syntax)
  end = atEnd ? bytes.length : skipLines(bytes, end, syntax)
  const partLine = end > 0 && bytes[end - 1] !== syntax.terminator
  return { end, records, lines: countLines(bytes, end, syntax) + (partLine ? 1 : 0) }
}

function index(
  bytes: Buffer,
  fieldCount: number,
  dialect: CsvDialect,
  store: OffsetStore,
): Indexed {
  const syntax = syntaxOf(dialect, bytes, true)!
  const nullText = oneCharPerByte(dialect.nullText)
  const arena = Buffer.from(bytes)
  const special = specialBytes(bytes, syntax)
  const bad: BadRecord[] = []
  let width = fieldCount
  let record = 0
  let rowCount = 0
  const rest = readRecords(bytes, syntax, (read) => {
    if (width === 0) width = read.fields.length
    const k = rowCount * width * 2
    store.reserve(k + width * 2)
    const { offsets } = store
    const reason =
      read.reason ??
      raggedReason(read.fields.length, width) ??
      (special(read.start, read.end)
        ? placeQuoted(bytes, arena, read, syntax, nullText, offsets, k)
        : placePlain(read, syntax, nullText, offsets, k))
    if (reason === null) rowCount++
    else bad.push({ record, byte: read.start, reason })
    record++
  })
  if (rest.open >= 0) throw unterminated(bytes, rest.open, record + 1, syntax)
  const chunk = { bytes: arena, rowCount, fieldCount: width, offsets: store.offsets, quote: -1 }
  return { chunk, bad }
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
 * Shape: `open` is the byte of a quote that is never closed, where reading stopped; -1 when all was read.
 */
function readRecords(
  bytes: Buffer,
  syntax: Syntax,
  visit: (record: Read) => void,
): { open: number } {
  let at = 0
  for (;;) {
    const base = at
    const error = parseRecords(bytes.subarray(base), syntax, (fields, parsed) => {
      const start = skipLines(bytes, at, syntax)
      at = base + parsed
      visit({ start, end: at, fields, reason: null })
    })
    if (error === null) return { open: -1 }
    const start = skipLines(bytes, at, syntax)
    const { end, open } = recordEnd(bytes, start, syntax)
    if (open >= 0) return { open }
    at = end
    visit({ start, end, fields: [], reason: reasonOf(error, start) })
  }
}

/**
 * Runs csv-parse over the bytes until it throws; `record` gets the fields and the byte after the record.
 *
 * Why: latin1 makes a character of every byte, so lengths are exact and bytes that are not UTF-8 survive. csv-parse's
 *      `cast`, which would tell if a field was quoted, costs 6 to 15 times the whole parse: a context is made per field.
 */
function parseRecords(
  bytes: Buffer,
  syntax: Syntax,
  record: (fields: string[], end: number) => void,
): CsvError | null {
  const options: Options = {
    encoding: 'latin1',
    delimiter: syntax.delimiter,
    quote: syntax.quote,
    escape: syntax.escape,
    comment: syntax.comment === null ? null : syntax.comment.toString('latin1'),
    comment_no_infix: true,
    record_delimiter: syntax.lineEnd.length === 2 ? [syntax.lineEnd, lineEnds.lf] : syntax.lineEnd,
    relax_column_count: true,
    skip_empty_lines: syntax.skipBlank,
    on_record: (fields, { bytes: end }) => {
      record(fields, end)
      return null
    },
  }
  try {
    parse(bytes, options)
    return null
  } catch (error) {
    if (error instanceof CsvError) return error
    throw error
  }
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

/** Writes the offsets of a record without quotes: its fields lie between its delimiters. */
function placePlain(
  { start, fields }: Read,
  { delimiter }: Syntax,
  nullText: string,
  offsets: Int32Array,
  k: number,
): null {
  let at = start
  for (const field of fields) {
    const isNull = field === nullText
    offsets[k++] = isNull ? -1 : at
    at += field.length
    offsets[k++] = isNull ? -1 : at
    at += delimiter.length
  }
  return null
}

/**
 * Decodes the quoted fields of a record in place and writes the offsets; says what is wrong with it, if anything is.
 *
 * Why: csv-parse takes an escape from before any character, PostgreSQL only from before a quote or an escape; and
 *      it takes a line end of another kind as data where PostgreSQL refuses the row.
 */
function placeQuoted(
  bytes: Buffer,
  arena: Buffer,
  read: Read,
  syntax: Syntax,
  nullText: string,
  offsets: Int32Array,
  k: number,
): string | null {
  const { delimiter, quote } = syntax
  const end = contentEnd(bytes, read, syntax)
  let at = read.start
  for (let f = 0; f < read.fields.length; f++) {
    const field = read.fields[f]!
    if (quote !== null && has(bytes, at, quote)) {
      const decoded = decodeQuoted(bytes, at, end, arena, syntax)
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
  bytes: Buffer,
  at: number,
  end: number,
  arena: Buffer,
  syntax: Syntax,
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

/** A test whether a record has bytes that need a closer look: quotes, or a CR or LF that is not its line end. */
function specialBytes(
  bytes: Buffer,
  { quote, lineEnd }: Syntax,
): (start: number, end: number) => boolean {
  const searches = [quote, lineEnds.cr, lineEnds.lf]
    .filter((wanted) => wanted !== null)
    .map((wanted) => ({ wanted, at: bytes.indexOf(wanted) }))
  return (start, end) => {
    const contentEnd = end - lineEnd.length
    let found = false
    for (const search of searches) {
      // Each search goes over the bytes once in all: it waits at what it found until a record passes that.
      if (search.at >= 0 && search.at < start) search.at = bytes.indexOf(search.wanted, start)
      if (search.at >= 0 && search.at < contentEnd) found = true
    }
    return found || !has(bytes, contentEnd, lineEnd)
  }
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
