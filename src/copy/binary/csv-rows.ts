import { unquote } from '../../chunk/unquote.ts'
import type { Structure } from '../../source/csv/index-clean.ts'
import { Kind } from '../kinds.ts'
import type { Block, RowCursor, RowPlan } from '../rows.ts'
import { encodeField } from './fields.ts'
import { NOT_CANONICAL, putInt32, putInt64Field } from './integers.ts'
import { putShortNumeric } from './numeric.ts'
import { daysAt, NONE } from './times.ts'

/** A row is begun only with this much room, and 24 bytes a column: then only a long text can overrun the block. */
const ROW_ROOM = 8192

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
 * Why:   the same rows over an index take half as long again (180 against 270 MB/s of lineitem on one busy core).
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
  const out = block.buffer
  const limit = out.length - 24
  const rowLimit = out.length - ROW_ROOM - 24 * columns
  const length = bytes.length
  let at = block.length
  let i = cursor.byte
  let row = cursor.row
  let stop: RowCursor['stop'] = 'end'

  rows: while (i < length) {
    const rowByte = i
    const rowAt = at
    if (at > rowLimit && block.length !== at) {
      stop = 'full'
      break
    }
    out[at] = columns >> 8
    out[at + 1] = columns
    at += 2
    for (let f = 0; f <= last; f++) {
      const kind = kinds[f]!
      const start = i
      let x = bytes[i]!
      let next = NOT_CANONICAL
      if (x === quote) {
        let raw = false
        for (i++; ; i += 2, raw = true) {
          while (i < length && bytes[i] !== quote) i++
          if (bytes[i + 1] !== quote) break
        }
        if (at + (i - start) * 2 > limit) stop = 'full'
        else if (raw) next = encodeRaw(cursor, kind, bytes, start, i + 1, quote, out, at)
        else next = encodeField(kind, bytes, start + 1, i, out, at)
        x = i + 1 < length ? bytes[++i]! : 0
      } else if (kind === Kind.text) {
        let p = at + 4
        while (x !== delimiter && x !== terminator && x !== quote && x !== 13) {
          out[p++] = x // beyond the end of the block nothing is written, and the row is begun again in another one
          x = bytes[++i]!
        }
        if (p > limit) stop = 'full'
        else if (i === start && emptyIsNull) next = putNull(out, at)
        else {
          putInt32(out, at, i - start)
          next = p
        }
      } else {
        if (kind === Kind.int4 || kind === Kind.int8) {
          let value = 0
          while (x >= 48 && x <= 57) {
            value = (value * 10 + (x - 48)) | 0 // wraps beyond 9 digits; not used then
            x = bytes[++i]!
          }
          if (x === delimiter || x === terminator || x === 13) {
            const digits = i - start
            if (digits > 0 && digits <= 9) {
              if (kind === Kind.int4) {
                putInt32(out, at, 4)
                putInt32(out, at + 4, value)
                next = at + 8
              } else next = putInt64Field(out, at, 0, value)
            }
          }
        } else if (kind === Kind.numeric) {
          const negative = x === 45
          if (negative) x = bytes[++i]!
          const first = i
          let whole = 0
          while (x >= 48 && x <= 57) {
            whole = (whole * 10 + (x - 48)) | 0
            x = bytes[++i]!
          }
          const digits = i - first
          let fraction = 0
          let scale = 0
          if (x === 46) {
            x = bytes[++i]!
            const point = i
            while (x >= 48 && x <= 57) {
              fraction = (fraction * 10 + (x - 48)) | 0
              x = bytes[++i]!
            }
            scale = i - point
          }
          const ends = x === delimiter || x === terminator || x === 13
          if (ends && digits <= 8 && scale <= 4 && digits + scale > 0) {
            next = putShortNumeric(out, at, negative, whole, fraction, scale)
          }
        } else if (kind === Kind.date) {
          const days = daysAt(bytes, i)
          if (days !== NONE) {
            x = bytes[i + 10]!
            if (x === delimiter || x === terminator || x === 13) {
              i += 10
              putInt32(out, at, 4)
              putInt32(out, at + 4, days)
              next = at + 8
            }
          }
        }
        if (next === NOT_CANONICAL) {
          i = start
          x = bytes[i]!
          while (x !== delimiter && x !== terminator && x !== quote && x !== 13) x = bytes[++i]!
          if (i === start && emptyIsNull) next = putNull(out, at)
          else if (at + (i - start) * 2 > limit) stop = 'full'
          else next = encodeField(kind, bytes, start, i, out, at)
        }
      }
      if (kind === LEFT_OUT) next = at
      if (next === NOT_CANONICAL || at > limit) {
        if (stop !== 'full' && at <= limit) stop = 'not-canonical'
        else stop = 'full'
        at = rowAt
        i = rowByte
        break rows
      }
      at = next
      if (x === delimiter && f < last) i++
      else if (f === last && x === terminator && !crlf) i++
      else if (f === last && x === 13 && crlf && bytes[i + 1] === 10) i += 2
      else {
        stop = 'not-canonical'
        at = rowAt
        i = rowByte
        break rows
      }
    }
    row++
  }
  cursor.byte = i
  cursor.row = row
  cursor.stop = stop
  block.length = at
}

function putNull(out: Uint8Array, at: number): number {
  putInt32(out, at, -1)
  return at + 4
}

function encodeRaw(
  cursor: RowCursor,
  kind: number,
  bytes: Buffer,
  from: number,
  to: number,
  quote: number,
  out: Uint8Array,
  at: number,
): number {
  const scratch = cursor.scratchOf(to - from)
  const length = unquote(bytes, from, to, quote, scratch, 0)
  return encodeField(kind, scratch, 0, length, out, at)
}
