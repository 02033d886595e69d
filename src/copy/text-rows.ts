import { unquote } from '../chunk/unquote.ts'
import type { Block, RowCursor, RowPlan } from './rows.ts'

const TAB = 9
const NEWLINE = 10
const BACKSLASH = 92

/** The letter that stands for a byte behind a backslash in COPY text, 0 for a byte that stands for itself. */
const ESCAPES = new Uint8Array(256)
for (const [byte, letter] of [
  [8, 'b'],
  [9, 't'],
  [10, 'n'],
  [11, 'v'],
  [12, 'f'],
  [13, 'r'],
  [BACKSLASH, '\\'],
] as const) {
  ESCAPES[byte] = letter.charCodeAt(0)
}

/**
 * Writes lines of COPY text from the cursor's row on: the general road, the server reads every value itself.
 *
 * Shape:  stops with 'full' when the next row may not fit into the block, with 'end' after the last row.
 * Source: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
 */
export function encodeTextRows(cursor: RowCursor, plan: RowPlan, block: Block): void {
  const { bytes, offsets, fieldCount, rowCount, quote } = cursor.chunk
  const { fields } = plan
  const columns = fields.length
  const out = block.buffer
  let at = block.length
  let row = cursor.row - cursor.base

  rows: for (; row < rowCount; row++) {
    const begin = at
    for (let c = 0; c < columns; c++) {
      const k = (row * fieldCount + fields[c]!) * 2
      let from = offsets[k]!
      let to = offsets[k + 1]!
      let source = bytes
      const isNull = from < 0
      if (!isNull && to < 0) {
        source = cursor.scratchOf(~to - from)
        to = unquote(bytes, from, ~to, quote, source, 0)
        from = 0
      }
      if (at + 3 + (to - from) * 2 > out.length) {
        at = begin
        break rows
      }
      if (c > 0) out[at++] = TAB
      if (isNull) {
        out[at++] = BACKSLASH
        out[at++] = 78 // \N
        continue
      }
      for (; from < to; from++) {
        const byte = source[from]!
        const escape = ESCAPES[byte]!
        if (escape === 0) out[at++] = byte
        else {
          out[at++] = BACKSLASH
          out[at++] = escape
        }
      }
    }
    if (at === out.length) {
      at = begin
      break
    }
    out[at++] = NEWLINE
  }
  cursor.stop = row < rowCount ? 'full' : 'end'
  cursor.row = row + cursor.base
  block.length = at
}
