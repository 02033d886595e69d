import { unquote } from '../chunk/unquote.ts'
import type { Result } from '../chunk/value.ts'
import type { Kind } from './kinds.ts'
import type { Block, RowCursor, RowPlan } from './rows.ts'
import { BadValue, valueText } from './value-text.ts'

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
 * Errors: BadColumnValue for a value of a stage that has no text.
 * Source: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
 */
export function encodeTextRows(cursor: RowCursor, plan: RowPlan, block: Block): void {
  const { count, selection, fieldOf, valuesOf } = cursor.rows
  const { bytes, offsets, fieldCount, quote } = cursor.rows.fields
  const { kinds } = plan
  const columns = kinds.length
  const out = block.buffer
  let at = block.length
  let i = cursor.row - cursor.base

  rows: for (; i < count; i++) {
    const begin = at
    const row = selection === null ? i : selection[i]!
    for (let c = 0; c < columns; c++) {
      const field = fieldOf[c]!
      let source = bytes
      let from = 0
      let to = 0
      if (field < 0) {
        const text = textOf(valuesOf[c]![row], kinds[c]! as Kind, i + cursor.base, c)
        from = text === null ? -1 : 0
        if (text !== null) {
          source = cursor.scratchOf(text.length * 3)
          to = source.write(text)
        }
      } else {
        const k = (row * fieldCount + field) * 2
        from = offsets[k]!
        to = offsets[k + 1]!
        if (from >= 0 && to < 0) {
          source = cursor.scratchOf(~to - from)
          to = unquote(bytes, from, ~to, quote, source, 0)
          from = 0
        }
      }
      if (at + 3 + (to - from) * 2 > out.length) {
        at = begin
        break rows
      }
      if (c > 0) out[at++] = TAB
      if (from < 0) {
        out[at++] = BACKSLASH
        out[at++] = 78 // \N
      } else at = escape(source, from, to, out, at)
    }
    if (at === out.length) {
      at = begin
      break
    }
    out[at++] = NEWLINE
  }
  cursor.stop = i < count ? 'full' : 'end'
  cursor.row = i + cursor.base
  block.length = at
}

function escape(source: Buffer, from: number, to: number, out: Buffer, at: number): number {
  for (let i = from; i < to; i++) {
    const byte = source[i]!
    const letter = ESCAPES[byte]!
    if (letter === 0) out[at++] = byte
    else {
      out[at++] = BACKSLASH
      out[at++] = letter
    }
  }
  return at
}

/** A value that no column can hold, by its row of the range and its column of the COPY. */
export class BadColumnValue extends Error {
  readonly row: number
  readonly column: number
  constructor(row: number, column: number, cause: BadValue) {
    super(cause.message, { cause })
    this.row = row
    this.column = column
  }
}

function textOf(value: Result, kind: Kind, row: number, column: number): string | null {
  try {
    return valueText(value, kind)
  } catch (error) {
    throw error instanceof BadValue ? new BadColumnValue(row, column, error) : error
  }
}
