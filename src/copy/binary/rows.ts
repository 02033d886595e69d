import { unquote } from '../../chunk/unquote.ts'
import { Kind } from '../kinds.ts'
import type { Block, RowCursor, RowPlan } from '../rows.ts'
import { encodeFloat4, encodeFloat8 } from './floats.ts'
import { encodeBool, encodeInt2, encodeInt4, encodeInt8, NOT_CANONICAL } from './integers.ts'
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
import { encodeValue, NO_ROOM } from './values.ts'

/** Signature, flags and header extension. https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4 */
export const BINARY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
export const BINARY_TRAILER = Buffer.from([0xff, 0xff])

// Of the module's own: an imported constant is looked up for each comparison, 4 % of this loop's time.
const {
  text: TEXT,
  int4: INT4,
  int8: INT8,
  numeric: NUMERIC,
  date: DATE,
  timestamp: TIMESTAMP,
  timestamptz: TIMESTAMPTZ,
  float8: FLOAT8,
  float4: FLOAT4,
  int2: INT2,
  bool: BOOL,
  uuid: UUID,
  time: TIME,
  jsonb: JSONB,
  bytea: BYTEA,
  name: NAME,
  char: CHAR,
  json: JSON_TEXT,
} = Kind
const LEFT = NOT_CANONICAL

/** No field needs more than this beside twice its bytes: see numeric, the most wasteful. */
const FIELD_ROOM = 20

/**
 * Writes tuples of COPY binary from the cursor's row on, `most` at most.
 *
 * Shape: stops with 'full' when the next row may not fit into the block, with 'not-canonical' before a row that the
 *        server has to read as text, with 'end' after the last row. Only whole rows are written.
 */
export function encodeBinaryRows(
  cursor: RowCursor,
  plan: RowPlan,
  block: Block,
  most = Infinity,
): void {
  const { selection, fieldOf, valuesOf } = cursor.rows
  const { bytes, offsets, fieldCount, quote } = cursor.rows.fields
  const { kinds } = plan
  const columns = kinds.length
  const { view } = block
  const limit = view.byteLength - 2 - FIELD_ROOM
  let at = block.length
  let i = cursor.row - cursor.base
  const end = Math.min(cursor.rows.count, i + most)
  let stop: RowCursor['stop'] = 'end'

  rows: for (; i < end; i++) {
    const begin = at
    const row = selection === null ? i : selection[i]!
    const base = row * fieldCount
    if (at > limit) {
      stop = 'full'
      break
    }
    view.setInt16(at, columns)
    at += 2
    for (let c = 0; c < columns; c++) {
      const field = fieldOf[c]!
      if (field < 0) {
        const next = encodeValue(kinds[c]! as Kind, valuesOf[c]![row], block, at, limit)
        if (next < 0) {
          stop = next === NO_ROOM ? 'full' : 'not-canonical'
          at = begin
          break rows
        }
        at = next
        continue
      }
      const k = (base + field) * 2
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
          view.setInt32(at, -1)
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
      let next = LEFT
      // The switch stands in the loop: in a function of its own it is not inlined and costs a tenth.
      switch (kinds[c]) {
        case TEXT:
        case JSON_TEXT:
          next = encodeText(source, from, to, block, at)
          break
        case INT4:
          next = encodeInt4(source, from, to, block, at)
          break
        case INT8:
          next = encodeInt8(source, from, to, block, at)
          break
        case NUMERIC:
          next = encodeNumeric(source, from, to, block, at)
          break
        case DATE:
          next = encodeDate(source, from, to, block, at)
          break
        case TIMESTAMP:
          next = encodeTimestamp(source, from, to, block, at)
          break
        case TIMESTAMPTZ:
          next = encodeTimestamptz(source, from, to, block, at)
          break
        case FLOAT8:
          next = encodeFloat8(source, from, to, block, at)
          break
        case FLOAT4:
          next = encodeFloat4(source, from, to, block, at)
          break
        case INT2:
          next = encodeInt2(source, from, to, block, at)
          break
        case BOOL:
          next = encodeBool(source, from, to, block, at)
          break
        case UUID:
          next = encodeUuid(source, from, to, block, at)
          break
        case TIME:
          next = encodeTime(source, from, to, block, at)
          break
        case JSONB:
          next = encodeJsonb(source, from, to, block, at)
          break
        case BYTEA:
          next = encodeBytea(source, from, to, block, at)
          break
        case NAME:
          next = encodeName(source, from, to, block, at)
          break
        case CHAR:
          next = encodeChar(source, from, to, block, at)
          break
        default:
          break
      }
      if (next === LEFT) {
        stop = 'not-canonical'
        at = begin
        break rows
      }
      at = next
    }
  }
  cursor.row = i + cursor.base
  cursor.stop = stop
  block.length = at
}
