import { unquote } from '../../chunk/unquote.ts'
import { Kind } from '../kinds.ts'
import type { Block, RowCursor, RowPlan } from '../rows.ts'
import { encodeFloat4, encodeFloat8 } from './floats.ts'
import {
  encodeBool,
  encodeInt2,
  encodeInt4,
  encodeInt8,
  NOT_CANONICAL,
  putInt32,
} from './integers.ts'
import { encodeNumeric } from './numeric.ts'
import {
  encodeBytea,
  encodeChar,
  encodeJsonb,
  encodeName,
  encodeText,
  encodeUuid,
} from './strings.ts'
import { encodeDate, encodeTime, encodeTimestamp, encodeTimestamptz } from './times.ts'

/** Signature, flags and header extension. https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 */
export const BINARY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
export const BINARY_TRAILER = Buffer.from([0xff, 0xff])

/** No field needs more than this beside twice its bytes: see numeric, the most wasteful. */
const FIELD_ROOM = 20

/**
 * Writes tuples of COPY binary from the cursor's row on.
 *
 * Shape: stops with 'full' when the next row may not fit into the block, with 'not-canonical' before a row that the
 *        server has to read as text, with 'end' after the last row. Only whole rows are written.
 */
export function encodeBinaryRows(cursor: RowCursor, plan: RowPlan, block: Block): void {
  const { bytes, offsets, fieldCount, rowCount, quote } = cursor.chunk
  const { fields, kinds } = plan
  const columns = fields.length
  const out = block.buffer
  const limit = out.length - 2 - FIELD_ROOM
  let at = block.length
  let row = cursor.row - cursor.base
  let stop: RowCursor['stop'] = 'end'

  rows: for (; row < rowCount; row++) {
    const begin = at
    const base = row * fieldCount
    if (at > limit) {
      stop = 'full'
      break
    }
    out[at] = columns >> 8
    out[at + 1] = columns
    at += 2
    for (let c = 0; c < columns; c++) {
      const k = (base + fields[c]!) * 2
      let from = offsets[k]!
      let to = offsets[k + 1]!
      let source = bytes
      if (to < 0) {
        if (from < 0) {
          if (at > limit) {
            stop = 'full'
            at = begin
            break rows
          }
          putInt32(out, at, -1)
          at += 4
          continue
        }
        source = cursor.scratchOf(~to - from)
        to = unquote(bytes, from, ~to, quote, source, 0)
        from = 0
      }
      if (at + (to - from) * 2 > limit) {
        stop = 'full'
        at = begin
        break rows
      }
      let next = NOT_CANONICAL
      // The switch stands in the loop: in a function of its own it is not inlined and costs a tenth.
      switch (kinds[c]) {
        case Kind.text:
          next = encodeText(source, from, to, out, at)
          break
        case Kind.int4:
          next = encodeInt4(source, from, to, out, at)
          break
        case Kind.int8:
          next = encodeInt8(source, from, to, out, at)
          break
        case Kind.numeric:
          next = encodeNumeric(source, from, to, out, at)
          break
        case Kind.date:
          next = encodeDate(source, from, to, out, at)
          break
        case Kind.timestamp:
          next = encodeTimestamp(source, from, to, out, at)
          break
        case Kind.timestamptz:
          next = encodeTimestamptz(source, from, to, out, at)
          break
        case Kind.float8:
          next = encodeFloat8(source, from, to, out, at)
          break
        case Kind.float4:
          next = encodeFloat4(source, from, to, out, at)
          break
        case Kind.int2:
          next = encodeInt2(source, from, to, out, at)
          break
        case Kind.bool:
          next = encodeBool(source, from, to, out, at)
          break
        case Kind.uuid:
          next = encodeUuid(source, from, to, out, at)
          break
        case Kind.time:
          next = encodeTime(source, from, to, out, at)
          break
        case Kind.jsonb:
          next = encodeJsonb(source, from, to, out, at)
          break
        case Kind.bytea:
          next = encodeBytea(source, from, to, out, at)
          break
        case Kind.name:
          next = encodeName(source, from, to, out, at)
          break
        case Kind.char:
          next = encodeChar(source, from, to, out, at)
          break
        default:
          break
      }
      if (next === NOT_CANONICAL) {
        stop = 'not-canonical'
        at = begin
        break rows
      }
      at = next
    }
  }
  cursor.row = row + cursor.base
  cursor.stop = stop
  block.length = at
}
