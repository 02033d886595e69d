import type { Fields } from '../../chunk/fields.ts'
import { PAGE_BYTES } from '../../core/wasm.ts'
import { kernelKind } from '../kinds.ts'
import { Block, type ChunkRows, type RowCursor, type RowEncoder, type RowPlan } from '../rows.ts'
import { encodeField } from './fields.ts'
import { NO_ROOM, type RowKernel, SLACK_BYTES, startRowKernel } from './kernel.ts'
import { encodeBinaryRows } from './rows.ts'

/** Bytes of input that the kernel is given at a time: with what is made of them they stay in a core's caches. */
const WINDOW_BYTES = 64 * 1024
const OFFSET_BYTES = 512 * 1024
/** A table has at most 1,600 columns. */
const PLAN_BYTES = 1600 * 8
/** As much output as a block takes. */
const OUTPUT_BYTES = 256 * 1024

const PLAN_AT = PAGE_BYTES
const OFFSETS_AT = PLAN_AT + PLAN_BYTES
const SELECTION_AT = OFFSETS_AT + OFFSET_BYTES
/** Four bytes for each row; one of a single field has eight of offsets. */
const WINDOW_AT = SELECTION_AT + OFFSET_BYTES / 2

/**
 * Writes tuples of COPY binary over an index that somebody else has made, as encodeBinaryRows does.
 *
 * Life: one per lane, for all its plans; its memory, some 1 MB, goes with it.
 * Why:  with rows and offsets copied into the kernel's memory, a window at a time, 800,000 rows of lineitem took 0.6 s of a
 *       lane instead of 1.2 with the loop in JavaScript. What the kernel does not take goes through that loop, row by row.
 */
export class IndexedRowEncoder implements RowEncoder {
  readonly #kernel: RowKernel
  readonly #memory: Buffer
  readonly #words: Int32Array
  readonly #windowBytes: number
  readonly #scratch: number
  readonly #output: number
  #rows: ChunkRows | null = null
  /** Those of its rows that are in the kernel's memory, by position: [from, to). */
  #from = 0
  #to = 0
  /** What is added to an offset to have an address. */
  #origin = 0
  #selected = false

  constructor({ windowBytes = WINDOW_BYTES }: { windowBytes?: number } = {}) {
    this.#windowBytes = windowBytes
    this.#scratch = WINDOW_AT + windowBytes + SLACK_BYTES
    this.#output = this.#scratch + windowBytes + SLACK_BYTES
    const { kernel, memory } = startRowKernel(
      this.#output + OUTPUT_BYTES + SLACK_BYTES,
      (kind, from, to, at) => encodeField(kind, memory, from, to, block, at),
    )
    const block = new Block(memory, 0)
    this.#kernel = kernel
    this.#memory = memory
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length >> 2)
  }

  /** Shape: as encodeBinaryRows. */
  encode(cursor: RowCursor, plan: RowPlan, block: Block): void {
    const { rows } = cursor
    if (rows.fieldOf.includes(-1)) {
      encodeBinaryRows(cursor, plan, block)
      return
    }
    if (rows !== this.#rows) this.#enter(rows, plan)
    while (!this.#encodeUsual(cursor, block)) {
      encodeBinaryRows(cursor, plan, block, 1)
      if (cursor.stop !== 'end') return
    }
  }

  /** Stops as encodeBinaryRows; false before a row that is not for the kernel. */
  #encodeUsual(cursor: RowCursor, block: Block): boolean {
    const { rows, base } = cursor
    const output = this.#output
    for (;;) {
      const i = cursor.row - base
      cursor.stop = 'end'
      if (i === rows.count) return true
      if ((i < this.#from || i >= this.#to) && !this.#load(rows, i)) return false
      const room = Math.min(block.buffer.length - block.length, OUTPUT_BYTES)
      const outcome = this.#kernel.encodeIndexed(
        this.#origin,
        OFFSETS_AT,
        PLAN_AT,
        rows.fieldOf.length,
        this.#selected ? SELECTION_AT : 0,
        0,
        0,
        i - this.#from,
        this.#to - this.#from,
        output,
        output + room,
      )
      const end = this.#kernel.indexedEnd.value
      this.#memory.copy(block.buffer, block.length, output, end)
      block.length += end - output
      cursor.row += this.#kernel.indexedRows.value
      if (outcome === 0) continue
      cursor.stop = 'full'
      return outcome === NO_ROOM && (end > output || room < OUTPUT_BYTES)
    }
  }

  #enter(rows: ChunkRows, { kinds }: RowPlan): void {
    const { fields, fieldOf } = rows
    this.#rows = rows
    this.#from = 0
    this.#to = 0
    const pairs = Array.from(fieldOf, (field, c) => [field, kernelKind(kinds[c]!)])
    this.#words.set(pairs.flat(), PLAN_AT >> 2)
    const { fieldCount, quote } = fields
    this.#kernel.configure(0, quote, false, true, fieldCount, fieldOf.length, 0, this.#scratch)
  }

  /** Brings rows from a position on into the kernel's memory; false when not even the first fits. */
  #load({ count, selection, fields }: ChunkRows, i: number): boolean {
    const { bytes, offsets, fieldCount } = fields
    const width = fieldCount * 2
    const rowAt = (position: number): number => selection?.[position] ?? position
    const first = rowAt(i)
    const mostRows = Math.floor(OFFSET_BYTES / (4 * width))
    const start = startOf(fields, first, rowAt(count - 1))
    let to = Math.min(count, i + mostRows)
    const fits = (position: number): boolean =>
      rowAt(position) - first < mostRows &&
      endOf(fields, first, rowAt(position)) - start <= this.#windowBytes
    for (let low = i; low < to;) {
      const middle = (low + to) >> 1
      if (fits(middle)) low = middle + 1
      else to = middle
    }
    if (to === i) return false
    const last = rowAt(to - 1)
    this.#from = i
    this.#to = to
    this.#origin = WINDOW_AT - start
    this.#words.set(offsets.subarray(first * width, (last + 1) * width), OFFSETS_AT >> 2)
    bytes.copy(this.#memory, WINDOW_AT, start, endOf(fields, first, last))
    this.#selected = last - first !== to - 1 - i
    if (this.#selected) {
      for (let k = i; k < to; k++) this.#words[(SELECTION_AT >> 2) + k - i] = rowAt(k) - first
    }
    return true
  }
}

/** Where the first field of some rows that is not NULL begins. */
function startOf({ offsets, fieldCount }: Fields, first: number, last: number): number {
  for (let k = first * fieldCount * 2; k < (last + 1) * fieldCount * 2; k += 2) {
    if (offsets[k]! >= 0) return offsets[k]!
  }
  return 0
}

/** Where the last field of some rows that is not NULL ends. */
function endOf({ offsets, fieldCount }: Fields, first: number, last: number): number {
  for (let k = ((last + 1) * fieldCount - 1) * 2; k >= first * fieldCount * 2; k -= 2) {
    const to = offsets[k + 1]!
    if (offsets[k]! >= 0) return to < 0 ? ~to : to
  }
  return 0
}
