import type { BadRecord } from '../../chunk/fields.ts'
import type { Indexing, IndexPlace, Structure } from './index-clean.ts'

/** What a record turned out to be. */
interface RecordEnd {
  /** Byte after the record and its line end. */
  next: number
  fields: number
  reason: string | null
}

/**
 * Indexes records from a place on byte by byte, by PostgreSQL's rules, and says of each that is not sound why.
 *
 * Shape:  at most `most` records. Bad ones are left out of the rows, and blank lines when there is a list to put them on.
 * Source: CopyReadLineText and CopyReadAttributesCSV in PostgreSQL's copyfromparse.c: a quote toggles wherever it
 *         stands, a doubled quote inside quotes is one quote, a CR or LF that is not the file's line end is an error.
 */
export function indexCareful(
  { bytes, structure, fieldCount, store }: Indexing,
  most: number,
  place: IndexPlace,
  bad: BadRecord[],
  skipped: number[] | null,
): void {
  const found: RecordEnd = { next: 0, fields: 0, reason: null }
  for (let left = most; left > 0 && place.byte < bytes.length; left--) {
    const { byte, record } = place
    const k = place.rows * fieldCount * 2
    store.reserve(k + (fieldCount + 1) * 2)
    indexRecord(bytes, byte, structure, fieldCount, store.offsets, k, found)
    const reason = found.reason ?? raggedReason(found.fields, fieldCount)
    if (skipped !== null && isBlank(bytes, byte, found.next)) skipped.push(record)
    else if (reason === null) place.rows++
    else bad.push({ record, byte, reason })
    place.byte = found.next
    place.record++
  }
}

function raggedReason(fields: number, expected: number): string | null {
  if (fields === expected) return null
  return `has ${String(fields)} field${fields === 1 ? '' : 's'}, expected ${String(expected)}`
}

function isBlank(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== 10 && bytes[i] !== 13) return false
  return true
}

/** Counts the fields of the record that starts at `at`. */
export function countFields(bytes: Buffer, at: number, structure: Structure): number {
  const found: RecordEnd = { next: 0, fields: 0, reason: null }
  indexRecord(bytes, at, structure, 0, new Int32Array(2), 0, found)
  return found.fields
}

function indexRecord(
  bytes: Buffer,
  at: number,
  structure: Structure,
  fieldCount: number,
  offsets: Int32Array,
  k: number,
  found: RecordEnd,
): void {
  const { delimiter, quote, terminator, crlf } = structure
  const length = bytes.length
  let fields = 0
  let start = at
  let quotes = 0
  let inside = false
  found.reason = null
  for (let i = at; ; i++) {
    const byte = i < length ? bytes[i]! : -1
    if (byte === quote) {
      quotes++
      inside = !inside
      continue
    }
    if (inside && byte !== -1) continue
    const ends = byte === terminator || byte === -1
    if (!ends && byte !== delimiter) {
      if (byte === 13 && !(crlf && i + 1 < length && bytes[i + 1] === 10)) {
        found.reason ??=
          'holds a carriage return outside quotes that is not the line end of this file'
      } else if (byte === 10) {
        found.reason ??= 'holds a line feed outside quotes that is not the line end of this file'
      }
      continue
    }
    let end = i
    if (crlf && byte === 10) {
      if (end > at && bytes[end - 1] === 13) end--
      else found.reason ??= 'ends in a bare line feed where the line end of this file is CR LF'
    }
    if (fields < fieldCount) {
      setField(bytes, start, end, quotes, structure, offsets, k + fields * 2)
    }
    fields++
    start = i + 1
    quotes = 0
    if (!ends) continue
    if (byte === -1 && inside) found.reason ??= 'has a quoted field without its closing quote'
    found.next = Math.min(i + 1, length)
    found.fields = fields
    return
  }
}

function setField(
  bytes: Buffer,
  start: number,
  end: number,
  quotes: number,
  { quote, emptyIsNull }: Structure,
  offsets: Int32Array,
  k: number,
): void {
  if (quotes === 0) {
    const isNull = emptyIsNull && start === end
    offsets[k] = isNull ? -1 : start
    offsets[k + 1] = isNull ? -1 : end
  } else if (quotes === 2 && bytes[start] === quote && bytes[end - 1] === quote) {
    offsets[k] = start + 1
    offsets[k + 1] = end - 1
  } else {
    offsets[k] = start
    offsets[k + 1] = ~end
  }
}
