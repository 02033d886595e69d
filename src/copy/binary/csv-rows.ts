import { PAGE_BYTES } from '../../core/wasm.ts'
import type { Structure } from '../../source/csv/index-clean.ts'
import { kernelKind } from '../kinds.ts'
import { Block, type RowCursor, type RowPlan } from '../rows.ts'
import { encodeField } from './fields.ts'
import {
  CUT_OFF,
  LEFT_OUT,
  NO_ROOM,
  type RowKernel,
  SLACK_BYTES,
  startRowKernel,
} from './kernel.ts'

/** Bytes of input that the kernel is given at a time: with their output they stay in a core's second-level cache. */
const WINDOW_BYTES = 128 * 1024
/** As much output as a block takes. */
const OUTPUT_BYTES = 256 * 1024

/** Whether a plan takes the fields in the order of the file, as CsvRowEncoder does. */
export function isInFileOrder({ slots }: RowPlan): boolean {
  return slots.every((field, i) => i === 0 || field > slots[i - 1]!)
}

/**
 * Writes tuples of COPY binary straight from CSV bytes, without an index of their fields.
 *
 * Life:  one per lane and plan; its memory, some 0.5 MB, goes with it.
 * Why:   the loop is WebAssembly, compiled from ../kernel: one core takes 605 MB/s of lineitem through it, 398 through
 *        the same in JavaScript and 298 over an index. 64-bit words and sixteen bytes at a time leave few branches to
 *        mispredict, and V8 compiles it once, in 2 ms; the JavaScript took 0.2 s of each lane's helper threads.
 */
export class CsvRowEncoder {
  readonly #kernel: RowKernel
  readonly #memory: Buffer
  readonly #input: number
  readonly #inputSize: number
  readonly #output: number
  /** The part of `#bytes` that is in the kernel's memory. */
  #bytes: Buffer | null = null
  #from = 0
  #to = 0

  constructor(
    structure: Structure,
    fieldCount: number,
    plan: RowPlan,
    { windowBytes = WINDOW_BYTES }: { windowBytes?: number } = {},
  ) {
    const kinds = new Uint8Array(fieldCount).fill(LEFT_OUT)
    plan.slots.forEach((field, column) => (kinds[field] = kernelKind(plan.kinds[column]!)))

    const kindsAt = PAGE_BYTES
    const scratchAt = kindsAt + fieldCount + SLACK_BYTES
    this.#input = scratchAt + windowBytes + SLACK_BYTES
    this.#inputSize = windowBytes
    this.#output = this.#input + windowBytes + SLACK_BYTES
    const { kernel, memory } = startRowKernel(
      this.#output + OUTPUT_BYTES + SLACK_BYTES,
      (kind, from, to, at) => encodeField(kind, memory, from, to, block, at),
    )
    const block = new Block(memory, 0)
    memory.set(kinds, kindsAt)
    this.#kernel = kernel
    this.#memory = memory
    const { delimiter, quote, crlf, emptyIsNull } = structure
    const columns = plan.slots.length
    kernel.configure(delimiter, quote, crlf, emptyIsNull, fieldCount, columns, kindsAt, scratchAt)
  }

  /**
   * Fills a block with rows.
   *
   * Shape: goes on at `cursor.byte`. Stops with 'full' when the next row does not fit into the block, with 'end' after
   *        the last row, and with 'not-canonical' before a row with anything out of the ordinary, for the roads over an
   *        index to take it from there. The bytes end with a line end.
   */
  encode(cursor: RowCursor, bytes: Buffer, block: Block): void {
    const kernel = this.#kernel
    cursor.stop = 'full'
    while (cursor.byte < bytes.length) {
      if (!this.#stage(bytes, cursor.byte)) {
        cursor.stop = 'not-canonical'
        return
      }
      const room = Math.min(block.buffer.length - block.length, OUTPUT_BYTES)
      const at = this.#input - this.#from
      const output = this.#output
      const outcome = kernel.encodeRows(at + cursor.byte, at + this.#to, output, output + room)
      const rows = kernel.rows.value
      const end = kernel.nextOutput.value
      this.#memory.copy(block.buffer, block.length, output, end)
      block.length += end - output
      cursor.row += rows
      cursor.byte = kernel.nextInput.value - at
      if (outcome === NO_ROOM && (rows > 0 || room < OUTPUT_BYTES)) return
      if (outcome === CUT_OFF && cursor.byte > this.#from) this.#bytes = null
      else if (outcome !== 0) {
        cursor.stop = 'not-canonical'
        return
      }
    }
    cursor.stop = 'end'
  }

  /** Sees to it that rows from `byte` on are in the kernel's memory, up to a line end; whether any fit there. */
  #stage(bytes: Buffer, byte: number): boolean {
    if (bytes === this.#bytes && byte >= this.#from && byte < this.#to) return true
    const end = bytes.lastIndexOf(10, byte + this.#inputSize - 1) + 1
    if (end <= byte) return false
    bytes.copy(this.#memory, this.#input, byte, end)
    this.#bytes = bytes
    this.#from = byte
    this.#to = end
    return true
  }
}
