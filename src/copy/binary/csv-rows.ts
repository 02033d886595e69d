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
// Of the module's own: an imported constant is looked up each time, all of these together a fifth of the row loop.
const { text: TEXT, int4: INT4, int8: INT8, numeric: NUMERIC, date: DATE } = Kind
const LEFT = NOT_CANONICAL
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
 * Why:   the same rows over an index take twice as long (200 against 400 MB/s of lineitem on one busy core).
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
  const rowLimit = limit - ROW_ROOM - FIELD_ROOM * columns
  const delimiters = delimiter * 0x01010101
  const quotes = quote * 0x01010101
  let at = block.length
  let i = cursor.byte
  let row = cursor.row
  let stop: RowCursor['stop'] = 'end'

  rows: while (i < length) {
    const rowByte = i
    const rowAt = at
    if (at > rowLimit && at !== block.length) {
      stop = 'full'
      break
    }
    out.setInt16(at, columns)
    at += 2
    for (let f = 0; f <= last; f++) {
      const kind = kinds[f]!
      const start = i
      let x = input.getUint8(i)
      let next = LEFT
      if (at > limit) stop = 'full'
      else if (x === quote) {
        let raw = false
        for (i++; ; i += 2, raw = true) {
          while (i < length && input.getUint8(i) !== quote) i++
          if (i + 1 >= length || input.getUint8(i + 1) !== quote) break
        }
        if (at + (i - start) * 2 > limit) stop = 'full'
        else if (raw) next = encodeRaw(cursor, kind, bytes, start, i + 1, quote, block, at)
        else next = encodeField(kind, bytes, start + 1, i, block, at)
        x = i + 1 < length ? input.getUint8(++i) : 0
      } else if (kind === TEXT) {
        let p = at + 4
        for (;;) {
          if (i <= words && p < limit) {
            // Four bytes at a time: marked are delimiters, quotes and what is below a space, such as a line end.
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
            if (marks === 0) continue
          }
          x = input.getUint8(i)
          if (x === delimiter || x === terminator || x === quote || x === 13) break
          if (p < limit) out.setUint8(p, x)
          p++
          i++
        }
        if (p > limit) stop = 'full'
        else if (i === start && emptyIsNull) next = putNull(out, at)
        else {
          out.setInt32(at, i - start)
          next = p
        }
      } else {
        if (kind === INT4 || kind === INT8) {
          let value = 0
          while (x >= 48 && x <= 57) {
            value = (value * 10 + (x - 48)) | 0 // wraps beyond 9 digits; not used then
            x = input.getUint8(++i)
          }
          if (x === delimiter || x === terminator || x === 13) {
            const digits = i - start
            if (digits > 0 && digits <= 9) {
              if (kind === INT4) {
                out.setInt32(at, 4)
                out.setInt32(at + 4, value)
                next = at + 8
              } else next = putInt64Field(block, at, 0, value)
            }
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
          const ends = x === delimiter || x === terminator || x === 13
          if (ends && digits <= 8 && scale <= 4 && digits + scale > 0) {
            next = putShortNumeric(block, at, negative, whole, fraction, scale)
          }
        } else if (kind === DATE) {
          const days = i + 10 < length ? daysAt(bytes, i) : NO_DAY
          if (days !== NO_DAY) {
            x = input.getUint8(i + 10)
            if (x === delimiter || x === terminator || x === 13) {
              i += 10
              out.setInt32(at, 4)
              out.setInt32(at + 4, days)
              next = at + 8
            }
          }
        }
        if (next === LEFT) {
          i = start
          x = input.getUint8(i)
          while (x !== delimiter && x !== terminator && x !== quote && x !== 13) {
            x = input.getUint8(++i)
          }
          if (at + (i - start) * 2 > limit) stop = 'full'
          else if (i === start && emptyIsNull) next = putNull(out, at)
          else next = encodeField(kind, bytes, start, i, block, at)
        }
      }
      if (kind === LEFT_OUT && stop !== 'full') next = at
      const ends = f < last ? x === delimiter : x === (crlf ? 13 : terminator)
      if (next === LEFT || !ends) {
        if (stop !== 'full') stop = 'not-canonical'
        at = rowAt
        i = rowByte
        break rows
      }
      at = next
      i++
    }
    if (crlf && (i >= length || input.getUint8(i++) !== 10)) {
      stop = 'not-canonical'
      at = rowAt
      i = rowByte
      break
    }
    row++
  }
  cursor.byte = i
  cursor.row = row
  cursor.stop = stop
  block.length = at
}

function putNull(out: DataView, at: number): number {
  out.setInt32(at, -1)
  return at + 4
}

function encodeRaw(
  cursor: RowCursor,
  kind: number,
  bytes: Buffer,
  from: number,
  to: number,
  quote: number,
  out: Block,
  at: number,
): number {
  const scratch = cursor.scratchOf(to - from)
  const length = unquote(bytes, from, to, quote, scratch, 0)
  return encodeField(kind, scratch, 0, length, out, at)
}
