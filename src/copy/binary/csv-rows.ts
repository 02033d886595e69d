import { unquote } from '../../chunk/unquote.ts'
import type { Structure } from '../../source/csv/index-clean.ts'
import { Kind } from '../kinds.ts'
import type { Block, RowCursor, RowPlan } from '../rows.ts'
import { encodeField } from './fields.ts'
import { NOT_CANONICAL, putInt64Field } from './integers.ts'
import { putShortNumeric } from './numeric.ts'
import { daysAt, NONE } from './times.ts'

/** No field needs more than this beside twice its bytes: a numeric, the most wasteful, has a head of 12. */
const FIELD_ROOM = 24
/** A row is begun only with this much room beside that of its fields: then only long texts can overrun the block. */
const ROW_ROOM = 2048
/** Text is read four bytes at a time, up to this close to the end of the bytes. */
const WORD = 4

/** Fields of a CSV file that go to the columns of a COPY, in the order of the file. */
export class CsvPlan {
  /** The kind of each field's column; LEFT_OUT for a field that no column takes. */
  readonly kinds: Uint8Array
  readonly columns: number
  constructor(fieldCount: number, plan: RowPlan) {
    this.kinds = new Uint8Array(fieldCount).fill(LEFT_OUT)
    this.columns = plan.fields.length
    plan.fields.forEach((field, column) => (this.kinds[field] = plan.kinds[column]!))
  }
}

const LEFT_OUT = 255
// Of the module's own: an imported constant is looked up each time, all of these together a tenth of the row loop.
const { text: TEXT, int4: INT4, int8: INT8, numeric: NUMERIC, date: DATE } = Kind
const LEFT = NOT_CANONICAL
/** The row does not fit into what is left of the block. */
const NO_ROOM = -2
const NO_DAY = NONE

/** Whether a plan takes the fields in the order of the file, as encodeCsvRows does. */
export function isInFileOrder({ fields }: RowPlan): boolean {
  return fields.every((field, i) => i === 0 || field > fields[i - 1]!)
}

/**
 * Writes tuples of COPY binary straight from CSV bytes: each byte is looked at once, no offsets are kept.
 *
 * Shape: goes on at `cursor.byte`. Stops with 'full' when the next row may not fit into the block, with 'end' after the
 *        last row, and with 'not-canonical' before a row with anything out of the ordinary, for the roads over an
 *        index to take it from there. The bytes end with a line end.
 * Why:   the same rows over an index take twice as long (180 against 400 MB/s of lineitem on one busy core). What is
 *        rare stands in functions of its own: compiling the loop took 0.35 s of a lane's helper threads when all of it
 *        stood here, 0.18 s now. Blocks that begin small spare it deoptimizations, six of seven, but no time.
 */
export function encodeCsvRows(
  cursor: RowCursor,
  bytes: Buffer,
  structure: Structure,
  plan: CsvPlan,
  block: Block,
): void {
  const { delimiter, quote, terminator, crlf, emptyIsNull } = structure
  const { kinds, columns } = plan
  const last = kinds.length - 1
  const length = bytes.length
  const words = length - WORD
  const input = new DataView(bytes.buffer, bytes.byteOffset, length)
  const out = block.view
  const limit = out.byteLength - FIELD_ROOM
  // The first row is begun in any case.
  const rowLimit = Math.max(block.length, limit - ROW_ROOM - FIELD_ROOM * columns)
  const rowEnd = crlf ? 13 : terminator
  const delimiters = delimiter * 0x01010101
  const quotes = quote * 0x01010101
  let at = block.length
  let i = cursor.byte
  let row = cursor.row
  let rowByte = i
  let rowAt = at
  let next = at

  while (i < length && at <= rowLimit) {
    out.setInt16(at, columns)
    at += 2
    for (let f = 0; f <= last; f++) {
      const kind = kinds[f]!
      const end = f < last ? delimiter : rowEnd
      const start = i
      let x = input.getUint8(i)
      next = LEFT
      if (x !== quote && at <= limit) {
        if (kind === TEXT) {
          // Four bytes at a time: marked are delimiters, quotes and what is below a space, such as a line end.
          let p = at + 4
          while (i <= words && p <= limit) {
            const word = input.getInt32(i, true)
            const d = word ^ delimiters
            const q = word ^ quotes
            const marks =
              (((word - 0x20202020) & ~word) | ((d - 0x01010101) & ~d) | ((q - 0x01010101) & ~q)) &
              0x80808080
            const count = marks === 0 ? 4 : (31 - Math.clz32(marks & -marks)) >> 3
            out.setInt32(p, word, true)
            p += count
            i += count
            if (marks !== 0) break
          }
          if (p <= limit && (i !== start || !emptyIsNull)) {
            out.setInt32(at, i - start)
            next = p
          }
        } else if (kind === INT4 || kind === INT8) {
          let value = 0
          while (x >= 48 && x <= 57) {
            value = (value * 10 + (x - 48)) | 0 // wraps beyond 9 digits; not used then
            x = input.getUint8(++i)
          }
          const digits = i - start
          if (digits > 0 && digits <= 9) {
            if (kind === INT4) {
              out.setInt32(at, 4)
              out.setInt32(at + 4, value)
              next = at + 8
            } else next = putInt64Field(block, at, 0, value)
          }
        } else if (kind === NUMERIC) {
          const negative = x === 45
          if (negative) x = input.getUint8(++i)
          const first = i
          let whole = 0
          while (x >= 48 && x <= 57) {
            whole = (whole * 10 + (x - 48)) | 0
            x = input.getUint8(++i)
          }
          const digits = i - first
          let fraction = 0
          let scale = 0
          if (x === 46) {
            x = input.getUint8(++i)
            const point = i
            while (x >= 48 && x <= 57) {
              fraction = (fraction * 10 + (x - 48)) | 0
              x = input.getUint8(++i)
            }
            scale = i - point
          }
          if (digits <= 8 && scale <= 4 && digits + scale > 0) {
            next = putShortNumeric(out, at, negative, whole, fraction, scale)
          }
        } else if (kind === DATE && i + 10 < length) {
          const days = daysAt(bytes, i)
          if (days !== NO_DAY) {
            i += 10
            out.setInt32(at, 4)
            out.setInt32(at + 4, days)
            next = at + 8
          }
        }
        if (next >= 0 && input.getUint8(i) === end) {
          at = next
          i++
          continue
        }
      }

      next =
        x === quote && i === start
          ? encodeQuoted(cursor, kind, bytes, start, quote, block, at)
          : encodeOther(cursor, kind, bytes, start, structure, block, at)
      i = cursor.byte
      if (next < 0) break
      if (i >= length || input.getUint8(i) !== end) {
        next = LEFT
        break
      }
      at = next
      i++
    }
    if (crlf && next >= 0 && (i >= length || input.getUint8(i++) !== 10)) next = LEFT
    if (next < 0) break
    row++
    rowByte = i
    rowAt = at
  }
  cursor.byte = rowByte
  cursor.row = row
  cursor.stop = next === LEFT ? 'not-canonical' : rowByte < length ? 'full' : 'end'
  block.length = rowAt
}

/** A field in quotes. Like encodeOther it leaves `cursor.byte` behind the field, and answers LEFT or NO_ROOM as needed. */
function encodeQuoted(
  cursor: RowCursor,
  kind: number,
  bytes: Buffer,
  from: number,
  quote: number,
  block: Block,
  at: number,
): number {
  let raw = false
  let i = from + 1
  for (; ; i += 2, raw = true) {
    while (i < bytes.length && bytes[i] !== quote) i++
    if (i + 1 >= bytes.length || bytes[i + 1] !== quote) break
  }
  cursor.byte = i + 1
  if (kind === LEFT_OUT) return at
  if (at + (i - from) * 2 > block.buffer.length - FIELD_ROOM) return NO_ROOM
  if (!raw) return encodeField(kind, bytes, from + 1, i, block, at)
  const scratch = cursor.scratchOf(i + 1 - from)
  const length = unquote(bytes, from, i + 1, quote, scratch, 0)
  return encodeField(kind, scratch, 0, length, block, at)
}

/** A field without quotes, of any kind and form. */
function encodeOther(
  cursor: RowCursor,
  kind: number,
  bytes: Buffer,
  from: number,
  structure: Structure,
  block: Block,
  at: number,
): number {
  const { delimiter, quote, terminator, emptyIsNull } = structure
  let i = from
  let x = bytes[i]!
  while (x !== delimiter && x !== terminator && x !== quote && x !== 13) x = bytes[++i]!
  cursor.byte = i
  if (kind === LEFT_OUT) return at
  if (at + (i - from) * 2 > block.buffer.length - FIELD_ROOM) return NO_ROOM
  if (i === from && emptyIsNull) return putNull(block, at)
  return encodeField(kind, bytes, from, i, block, at)
}

function putNull(block: Block, at: number): number {
  block.view.setInt32(at, -1)
  return at + 4
}
