import { type CsvDialect, defaultDialect, type LineEnd } from './dialect.ts'

/** The dialect of an input, how sure that is, and why, in sentences for the user. */
export interface Detected {
  readonly dialect: CsvDialect
  readonly confident: boolean
  readonly reasons: readonly string[]
}

interface Found<T> {
  readonly value: T
  readonly confident: boolean
  readonly reason: string
}

/** The sample, read with one delimiter. */
interface Candidate {
  readonly delimiter: string
  readonly quote: string
  readonly records: readonly (readonly string[])[]
  /** The most common number of fields, and how many records have it. */
  readonly width: number
  readonly regular: number
  /** 0 to 1: how well the delimiter explains the sample. */
  readonly score: number
}

const SAMPLE_BYTES = 65536
/** A sample of this length was cut out of a longer input; up to 3 bytes of byte order mark are missing from it. */
const CUT_BYTES = SAMPLE_BYTES - 3
const delimiters = [',', ';', '\t', '|']
const lineEndText = { lf: '\n', crlf: '\r\n', cr: '\r' }
/** Below this score, or with a smaller lead on the next one, a delimiter is a guess. */
const MIN_SCORE = 0.7
const MIN_LEAD = 0.05

/**
 * Finds the dialect out from the first 64 KiB of an input, its byte order mark left out.
 *
 * Shape: what is `given` is taken as it is and not spoken of, except a `lineEnd` of 'auto'. What is in doubt is
 *        RFC 4180: comma, header. The result's `lineEnd` is never 'auto'.
 */
export function detectDialect(head: Buffer, given: Partial<CsvDialect> = {}): Detected {
  const sample = head.subarray(0, SAMPLE_BYTES)
  const escape = given.escape ?? given.quote ?? defaultDialect.escape
  const base: CsvDialect = { ...defaultDialect, ...given, escape }
  const lineEnd = chooseLineEnd(sample, base)
  const known: CsvDialect = { ...base, lineEnd: lineEnd.value }
  const candidates = (given.delimiter === undefined ? delimiters : [given.delimiter]).map(
    (delimiter) => readCandidate(sample, { ...known, delimiter }, lineEnd.value),
  )
  const delimiter = chooseDelimiter(candidates)
  const header = chooseHeader(delimiter.value)
  const found = [
    ...(given.delimiter === undefined ? [delimiter] : []),
    ...(given.header === undefined ? [header] : []),
    ...(base.lineEnd === 'auto' ? [lineEnd] : []),
  ]
  return {
    dialect: {
      ...known,
      delimiter: delimiter.value.delimiter,
      header: given.header ?? header.value,
    },
    confident: found.every((item) => item.confident),
    reasons: found.map((item) => item.reason),
  }
}

/**
 * Finds what ends the first record.
 *
 * Shape: null when the bytes hold no line end outside quotes, or, not `atEnd`, end in a CR that may be half a CRLF.
 */
export function detectLineEnd(
  bytes: Buffer,
  dialect: Pick<CsvDialect, 'quote' | 'escape' | 'comment'>,
  atEnd: boolean,
): LineEnd | null {
  const [quote, escape, comment] = [dialect.quote, dialect.escape, dialect.comment].map((text) =>
    Buffer.from(text),
  ) as [Buffer, Buffer, Buffer]
  const isComment = startsAt(bytes, 0, comment)
  let inside = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (!inside && byte === 10) return 'lf'
    if (!inside && byte === 13) {
      if (bytes[at + 1] === 10) return 'crlf'
      return atEnd || at + 1 < bytes.length ? 'cr' : null
    }
    // Where the escape is the quote a doubled quote toggles twice, which comes to the same.
    if (inside && dialect.escape !== dialect.quote && startsAt(bytes, at, escape)) {
      at += escape.length
    } else if (!isComment && startsAt(bytes, at, quote)) {
      inside = !inside
      at += quote.length - 1
    }
  }
  return null
}

function startsAt(bytes: Buffer, at: number, wanted: Buffer): boolean {
  if (bytes[at] !== wanted[0]) return false
  return wanted.length === 1 || bytes.subarray(at, at + wanted.length).equals(wanted)
}

function chooseLineEnd(sample: Buffer, dialect: CsvDialect): Found<LineEnd> {
  if (dialect.lineEnd !== 'auto') return { value: dialect.lineEnd, confident: true, reason: '' }
  const first = detectLineEnd(sample, dialect, sample.length < CUT_BYTES)
  if (first !== null) {
    return { value: first, confident: true, reason: `line end ${first}: the first record's` }
  }
  // A quote that is never closed hides every line end, which is no reason to take none.
  const any = detectLineEnd(sample, { ...dialect, quote: '', escape: '' }, true)
  if (any === null) return { value: 'lf', confident: true, reason: 'line end lf: there is none' }
  const reason = `line end ${any}: in doubt, the first record has a quote that is not closed`
  return { value: any, confident: false, reason }
}

function readCandidate(sample: Buffer, dialect: CsvDialect, lineEnd: LineEnd): Candidate {
  const { delimiter, quote } = dialect
  const end = lineEndText[lineEnd]
  const text = sample.toString()
  const { records, stray } = split(text, dialect, end)
  if (sample.length >= CUT_BYTES && records.length > 1 && !text.endsWith(end)) records.pop()

  const counts = new Map<number, number>()
  for (const { length } of records) counts.set(length, (counts.get(length) ?? 0) + 1)
  const [width, regular] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), [0, 0])
  const others = delimiters.filter((other) => other !== delimiter)
  const isMixed = (cell: string): boolean =>
    others.some((other) => cell.includes(other)) && !isQuoted(cell, quote) && !looksTyped(cell)
  const cells = records.flat()
  const score =
    (regular / records.length) *
    Math.max(0, 1 - stray / records.length) *
    (records[0]?.length === width ? 1 : 0.8) *
    (1 - (0.5 * cells.filter(isMixed).length) / cells.length)
  return { delimiter, quote, records, width, regular, score: width < 2 ? 0 : score }
}

function isQuoted(cell: string, quote: string): boolean {
  return quote !== '' && cell.startsWith(quote)
}

/**
 * Splits a text into records of raw fields, blank lines and comments left out.
 *
 * Shape: `stray` counts quoted fields with text behind their closing quote, a sign of the wrong delimiter.
 */
function split(
  text: string,
  { delimiter, quote, escape, comment }: CsvDialect,
  lineEnd: string,
): { records: string[][]; stray: number } {
  const records: string[][] = []
  let stray = 0
  let at = 0
  const nextDelimiter = finder(text, delimiter)
  const nextLineEnd = finder(text, lineEnd)
  while (at < text.length) {
    let end = nextLineEnd(at)
    if (end === at || (comment !== '' && text.startsWith(comment, at))) {
      at = end + lineEnd.length
      continue
    }
    const record: string[] = []
    for (let start = at; ; start = at += delimiter.length) {
      if (isQuoted(text.slice(at, at + quote.length), quote)) {
        at = closingQuote(text, at + quote.length, quote, escape)
        end = nextLineEnd(at)
        if (at < end && !text.startsWith(delimiter, at)) stray++
      }
      at = Math.min(nextDelimiter(at), end)
      record.push(text.slice(start, at))
      if (at === end) break
    }
    records.push(record)
    at += lineEnd.length
  }
  return { records, stray }
}

/** A search that goes on from where it was, since `from` only grows; the text's length when nothing is left. */
function finder(text: string, wanted: string): (from: number) => number {
  let found = -1
  return (from) => {
    if (found < from) found = text.indexOf(wanted, from)
    if (found < 0) found = text.length
    return found
  }
}

/** The place behind the closing quote of the field whose text starts at `at`. */
function closingQuote(text: string, at: number, quote: string, escape: string): number {
  while (at < text.length) {
    const next = at + escape.length
    if (escape !== '' && text.startsWith(escape, at) && text.startsWith(quote, next)) {
      at = next + quote.length
    } else if (escape !== '' && escape !== quote && text.startsWith(escape + escape, at)) {
      at = next + escape.length
    } else if (text.startsWith(quote, at)) return at + quote.length
    else at++
  }
  return text.length
}

function chooseDelimiter(candidates: readonly Candidate[]): Found<Candidate> {
  const fallback = candidates[0]!
  const [best, second] = candidates.toSorted((a, b) => b.score - a.score) as [Candidate, Candidate?]
  const { length } = fallback.records
  const inDoubt = (why: string): Found<Candidate> => {
    const reason = `delimiter ${nameOf(fallback)}: in doubt, ${why}`
    return { value: fallback, confident: false, reason }
  }
  if (length === 0) return inDoubt('there is no record to look at')
  if (candidates.every(({ records }) => records.every((record) => record.length === 1))) {
    const reason = `delimiter ${nameOf(fallback)}: ${everyRecord(length, length)} one field`
    return { value: fallback, confident: true, reason }
  }
  if (best.score < MIN_SCORE) return inDoubt('no delimiter gives records of one length')
  if (second !== undefined && best.score - second.score < MIN_LEAD) {
    return inDoubt(`${nameOf(best)} and ${nameOf(second)} fit equally well`)
  }
  const { records, regular, width } = best
  const reason = `delimiter ${nameOf(best)}: ${everyRecord(regular, records.length)} ${String(width)} fields`
  return { value: best, confident: true, reason }
}

function nameOf({ delimiter }: Candidate): string {
  return delimiter === '\t' ? 'tab' : delimiter
}

function everyRecord(some: number, all: number): string {
  if (all === 1) return 'the only record has'
  if (some === all) return `every one of ${String(all)} records has`
  return `${String(some)} of ${String(all)} records have`
}

/** Says whether the first record names the columns: it does unless it holds a value of its column's kind. */
function chooseHeader({ records, quote }: Candidate): Found<boolean> {
  const [first = [], ...rest] = records.map((record) => record.map((cell) => bare(cell, quote)))
  const yes = (confident: boolean, why: string): Found<boolean> => {
    return { value: true, confident, reason: `header yes: ${confident ? '' : 'in doubt, '}${why}` }
  }
  if (first.length === 0) return yes(false, 'there is no record to look at')
  const typed = first.map((_, c) => isTypedColumn(rest.map((record) => record[c] ?? '')))
  const value = first.findIndex(
    (cell, c) => looksTyped(cell) && (typed[c] === true || rest.length === 0),
  )
  if (value >= 0 && hasYearsInARow(first)) {
    return yes(false, 'the first record has years in a row, which may be names')
  }
  if (value >= 0) {
    const reason = `header no: field ${String(value + 1)} of the first record is a number, date or truth value`
    return { value: false, confident: true, reason }
  }
  if (rest.length === 0) return yes(false, 'there is one record only, and it looks like names')
  if (first.includes('')) return yes(false, 'the first record has an empty field')
  if (new Set(first).size < first.length) return yes(false, 'the first record has a field twice')
  const below = typed.indexOf(true)
  if (below < 0) return yes(false, 'every column is text')
  return yes(true, `field ${String(below + 1)} is text in the first record only`)
}

function bare(cell: string, quote: string): string {
  const text = isQuoted(cell, quote) ? cell.slice(quote.length, -quote.length) : cell
  return text.trim()
}

function isTypedColumn(cells: readonly string[]): boolean {
  const filled = cells.filter((cell) => cell !== '')
  return filled.length > 0 && filled.every(looksTyped)
}

const number = /^[-+]?[$€£]?[-+]?(\d+([.,]\d+)*|\.\d+)([eE][-+]?\d+)?%?$/
const date = /^\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:\d{2}.*)?$/
const time = /^\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?$/
const truth = /^(true|false)$/i

function looksTyped(cell: string): boolean {
  const text = cell.trim()
  return number.test(text) || date.test(text) || time.test(text) || truth.test(text)
}

/** Wide tables have a column for each year: consecutive numbers that are names. */
function hasYearsInARow(fields: readonly string[]): boolean {
  return fields.some((field, f) => {
    return /^(19|20)\d\d$/.test(field) && Number(fields[f + 1]) === Number(field) + 1
  })
}
