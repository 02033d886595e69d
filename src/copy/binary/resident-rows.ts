import type { Fields } from '../../chunk/fields.ts'
import { PAGE_BYTES } from '../../core/wasm.ts'
import type { Structure } from '../../source/csv/index-clean.ts'
import { type Kind, kernelKind } from '../kinds.ts'
import { Block, type ChunkRows, type RowCursor, type RowPlan } from '../rows.ts'
import { encodeField } from './fields.ts'
import { NO_ROOM, type RowKernel, SLACK_BYTES, startRowKernel } from './kernel.ts'
import { encodeValue } from './values.ts'

/** Bytes of input that are indexed at a time: with what is made of them they stay in a core's caches (16 to 128 KiB make no difference). */
const WINDOW_BYTES = 64 * 1024
const OFFSET_BYTES = 512 * 1024
const VALUE_BYTES = 128 * 1024
/** As much output as a block takes. */
const OUTPUT_BYTES = 256 * 1024

/**
 * Rows whose fields stages may look at, in the memory of the kernel: it indexes them, and encodes what the stages have
 * left of them, fields first, then the values that stages gave.
 *
 * Life:  one per lane and plan; its memory, some 1.3 MB, goes with it. The next index() reuses it.
 * Why:   columns that no stage touches take the kernel's way, whatever stages do to the others.
 */
export class ResidentRows {
  readonly #kernel: RowKernel
  readonly #memory: Buffer
  readonly #structure: Structure
  readonly #fieldCount: number
  /** Columns of the COPY that are fields; the first of them. */
  readonly #fieldColumns: number
  readonly #kinds: Uint8Array
  readonly #mostRows: number
  readonly #windowBytes: number
  readonly #valueBytes: number
  readonly #at: Layout
  readonly #offsets: Int32Array
  readonly #selection: Int32Array
  readonly #valueEnds: Int32Array
  readonly #values: Block
  #fields: Fields | null = null
  #rows: ChunkRows | null = null
  /** The rows whose values are written down: [from, to). */
  #from = 0
  #to = 0

  /** `plan` has its columns in the order of their slots. */
  constructor(
    structure: Structure,
    fieldCount: number,
    plan: RowPlan,
    { windowBytes = WINDOW_BYTES, valueBytes = VALUE_BYTES } = {},
  ) {
    const columns = plan.slots.length
    const isValue = plan.slots.findIndex((slot) => slot >= fieldCount)
    this.#fieldColumns = isValue < 0 ? columns : isValue
    this.#structure = structure
    this.#fieldCount = fieldCount
    this.#kinds = plan.kinds
    this.#mostRows = Math.max(1, Math.floor(OFFSET_BYTES / (8 * fieldCount)))
    this.#windowBytes = windowBytes
    this.#valueBytes = valueBytes
    const rowBytes = this.#mostRows * 4
    const offsetBytes = rowBytes * fieldCount * 2
    this.#at = layoutOf({ columns, windowBytes, offsetBytes, rowBytes, valueBytes })
    const { kernel, memory } = startRowKernel(this.#at.end, (kind, from, to, at) =>
      encodeField(kind, memory, from, to, block, at),
    )
    const block = new Block(memory, 0)
    this.#values = block
    this.#kernel = kernel
    this.#memory = memory
    const words = (at: number, length: number): Int32Array =>
      new Int32Array(memory.buffer, memory.byteOffset + at, length)
    this.#offsets = words(this.#at.offsets, this.#mostRows * fieldCount * 2)
    this.#selection = words(this.#at.selection, this.#mostRows)
    this.#valueEnds = words(this.#at.valueEnds, this.#mostRows)
    const fields = plan.slots.subarray(0, this.#fieldColumns)
    words(this.#at.plan, fields.length * 2).set(
      Array.from(fields, (slot, i) => [slot, kernelKind(plan.kinds[i]!)]).flat(),
    )
    const { delimiter, quote, crlf, emptyIsNull } = structure
    kernel.configure(delimiter, quote, crlf, emptyIsNull, fieldCount, columns, 0, this.#at.scratch)
  }

  /**
   * Indexes rows from a byte on, which begins a row; the bytes end with a line end.
   *
   * Shape: as many rows as fit; `end` is the byte behind them. Null when the first has anything out of the ordinary.
   */
  index(bytes: Buffer, byte: number): { readonly fields: Fields; readonly end: number } | null {
    const end = bytes.lastIndexOf(10, byte + this.#windowBytes - 1) + 1
    if (end <= byte) return null
    const { input, offsets } = this.#at
    bytes.copy(this.#memory, input, byte, end)
    this.#kernel.indexRows(input, input + end - byte, offsets, this.#mostRows)
    const rowCount = this.#kernel.indexedRows.value
    if (rowCount === 0) return null
    const length = this.#kernel.indexedEnd.value - input
    this.#fields = {
      bytes: this.#memory.subarray(input, input + length),
      rowCount,
      fieldCount: this.#fieldCount,
      offsets: this.#offsets,
      quote: this.#structure.quote,
    }
    return { fields: this.#fields, end: byte + length }
  }

  /**
   * Fills a block with rows of the index.
   *
   * Shape: as encodeBinaryRows. Rows that are not of the index, as those of map and flatMap, are not its own: it stops with
   *        'not-canonical' before them.
   */
  encode(cursor: RowCursor, block: Block): void {
    const { rows } = cursor
    const kernel = this.#kernel
    cursor.stop = 'not-canonical'
    if (rows.fields !== this.#fields) return
    if (rows !== this.#rows) this.#enter(rows)
    const { input, offsets, plan, selection, output } = this.#at
    const noValues = this.#fieldColumns === this.#kinds.length
    for (;;) {
      const i = cursor.row - cursor.base
      if (i === rows.count) break
      if (i === this.#to && !this.#writeValues(rows, i)) return
      const room = Math.min(block.buffer.length - block.length, OUTPUT_BYTES)
      const outcome = kernel.encodeIndexed(
        input,
        offsets,
        plan,
        this.#fieldColumns,
        rows.selection === null ? 0 : selection,
        noValues ? 0 : this.#at.valueEnds,
        i === this.#from ? this.#at.values : this.#valueEnds[i - 1]!,
        i,
        this.#to,
        output,
        output + room,
      )
      const end = kernel.indexedEnd.value
      this.#memory.copy(block.buffer, block.length, output, end)
      block.length += end - output
      cursor.row += kernel.indexedRows.value
      if (outcome === 0) continue
      const isFull = outcome === NO_ROOM && (end > output || room < OUTPUT_BYTES)
      if (isFull) cursor.stop = 'full'
      return
    }
    cursor.stop = 'end'
  }

  #enter(rows: ChunkRows): void {
    this.#rows = rows
    this.#from = 0
    this.#to = 0
    if (rows.selection !== null) this.#selection.set(rows.selection)
  }

  /** Writes the stages' values of rows from `i` on, as many as fit; false when not even the first can be written. */
  #writeValues({ count, selection, valuesOf }: ChunkRows, i: number): boolean {
    const kinds = this.#kinds
    this.#from = i
    this.#to = count
    if (this.#fieldColumns === kinds.length) return true
    const limit = this.#at.values + this.#valueBytes
    let at = this.#at.values
    for (let r = i; r < count; r++) {
      const row = selection === null ? r : selection[r]!
      for (let c = this.#fieldColumns; c < kinds.length; c++) {
        const kind = kinds[c]! as Kind
        const next = encodeValue(kind, valuesOf[c]![row], this.#values, at, limit)
        if (next < 0) {
          this.#to = r
          return r > i
        }
        at = next
      }
      this.#valueEnds[r] = at
    }
    return true
  }
}

interface Layout {
  readonly plan: number
  readonly scratch: number
  readonly input: number
  readonly offsets: number
  readonly selection: number
  readonly valueEnds: number
  readonly values: number
  readonly output: number
  readonly end: number
}

/** Where in the memory each thing has its place, behind the kernel's own page. */
function layoutOf(sizes: {
  columns: number
  windowBytes: number
  offsetBytes: number
  rowBytes: number
  valueBytes: number
}): Layout {
  const { columns, windowBytes, offsetBytes, rowBytes, valueBytes } = sizes
  let next = PAGE_BYTES
  const place = (bytes: number): number => {
    const at = next
    next += Math.ceil((bytes + SLACK_BYTES) / 16) * 16
    return at
  }
  const places = {
    plan: place(columns * 8),
    scratch: place(windowBytes),
    input: place(windowBytes),
    offsets: place(offsetBytes),
    selection: place(rowBytes),
    valueEnds: place(rowBytes),
    values: place(valueBytes),
    output: place(OUTPUT_BYTES),
  }
  return { ...places, end: next }
}
