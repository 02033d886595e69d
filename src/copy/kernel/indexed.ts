import { encodeField, encodeNull, FIELD_ROOM } from './fields'
import { CUT_OFF, NO_ROOM, ODD } from './outcome'
import { findSeparator } from './separators'
import { columnCount, crlf, delimiter, emptyIsNull, fieldCount, quote, scratch } from './settings'
import { findQuote, unquote } from './text'

const LF: u8 = 10
const CR: u8 = 13

/** How far the last call of this file came: rows, and where the next one is read or written. */
export let indexedRows: i32 = 0
export let indexedEnd: i32 = 0

/**
 * Writes down where the fields of the rows in [from, to) are, the last byte of which is a line end: two offsets per field,
 * from `from` on, in the form that ../../chunk/fields.ts has.
 *
 * Shape: at most `most` rows. Returns 0 when they or the bytes are through; else why the next row is not: ODD, CUT_OFF.
 */
export function indexRows(from: i32, to: i32, offsets: i32, most: i32): i32 {
  const last = fieldCount - 1
  const quoteByte = quote
  const quotes = i8x16.splat(quote)
  const fieldDelimiter = delimiter
  const delimiters = i8x16.splat(delimiter)
  const rowEnd = crlf ? CR : LF
  const nulls = emptyIsNull
  indexedRows = 0
  indexedEnd = from
  let i = from
  let at = offsets
  while (i < to && indexedRows < most) {
    for (let field = 0; field <= last; field++) {
      const start = i
      if (load<u8>(i) == quoteByte) {
        let end = start + 1
        let doubled = false
        while (true) {
          end = findQuote(end, to, quoteByte)
          if (end + 1 >= to) return CUT_OFF
          if (load<u8>(end + 1) != quoteByte) break
          doubled = true
          end += 2
        }
        i = end + 1
        store<i32>(at, doubled ? start - from : start + 1 - from)
        store<i32>(at, doubled ? ~(i - from) : end - from, 4)
      } else {
        i = findSeparator(i, delimiters, quotes)
        const isNull = i == start && nulls
        store<i32>(at, isNull ? -1 : start - from)
        store<i32>(at, isNull ? -1 : i - from, 4)
      }
      at += 8
      if (load<u8>(i) != (field < last ? fieldDelimiter : rowEnd)) return ODD
      i++
    }
    if (crlf && (i >= to || load<u8>(i++) != LF)) return ODD
    indexedRows++
    indexedEnd = i
  }
  return 0
}

/**
 * Encodes indexed rows, those of a selection, each followed by a tuple's other columns as they stand ready.
 *
 * Shape: `plan` has two 32-bit integers for each column of the input: its field and its kind. `selection` has the number of
 *        each row, 0 stands for all. `others` tells for each row where its other columns end, those of the first begin at
 *        `other`; 0 when there are none. Rows [row, count) are encoded to [out, limit). Returns as encodeRows.
 */
export function encodeIndexed(
  origin: i32,
  offsets: i32,
  plan: i32,
  columns: i32,
  selection: i32,
  others: i32,
  other: i32,
  row: i32,
  count: i32,
  out: i32,
  limit: i32,
): i32 {
  const head = <u16>((columnCount >> 8) | (columnCount << 8))
  const stride = fieldCount * 8
  const planEnd = plan + columns * 8
  const quoteByte = quote
  indexedRows = 0
  indexedEnd = out
  let at = out
  let begin = other
  for (let i = row; i < count; i++) {
    if (at > limit - FIELD_ROOM) return NO_ROOM
    store<u16>(at, head)
    at += 2
    const base = offsets + (selection == 0 ? i : load<i32>(selection + i * 4)) * stride
    for (let column = plan; column < planEnd; column += 8) {
      const kind = <u8>load<i32>(column, 4)
      const pair = base + load<i32>(column) * 8
      let from = load<i32>(pair)
      if (from < 0) {
        at = encodeNull(kind, at, limit)
      } else {
        let to = load<i32>(pair, 4)
        from += origin
        if (to < 0) {
          to = unquote(from, origin + ~to, quoteByte, scratch)
          from = scratch
        } else to += origin
        at = encodeField(kind, from, to, at, limit)
      }
      if (at < 0) return at
    }
    if (others != 0) {
      const end = load<i32>(others + i * 4)
      const length = end - begin
      if (at + length > limit - FIELD_ROOM) return NO_ROOM
      for (let k = 0; k < length; k += 16) v128.store(at + k, v128.load(begin + k))
      at += length
      begin = end
    }
    indexedRows++
    indexedEnd = at
  }
  return 0
}
