import type { Chunk } from '../chunk/chunk.ts'
import type { Kind } from './kinds.ts'

/** One column of the COPY: which field of a row it takes, and how that is encoded. */
export interface CopyColumn {
  readonly field: number
  readonly kind: Kind
}

/** The columns as the row loops want them. */
export class RowPlan {
  readonly fields: Int32Array
  readonly kinds: Uint8Array
  constructor(columns: readonly CopyColumn[]) {
    this.fields = Int32Array.from(columns, (column) => column.field)
    this.kinds = Uint8Array.from(columns, (column) => column.kind)
  }
}

/** Why an encoder stopped before the chunk's last row. */
export type Stop = 'end' | 'full' | 'not-canonical'

/**
 * How far a chunk is encoded, and the scratch space for fields that lose their quotes first.
 *
 * Life: one per lane; `rewind` begins a range. Encoders advance `row`, which counts those of the range, and set `stop`.
 */
export class RowCursor {
  row = 0
  /** Where the next row starts, for the road without an index. */
  byte = 0
  stop: Stop = 'end'
  scratch = Buffer.allocUnsafeSlow(4096)
  #chunk: Chunk | null = null

  /** Rows of the range before the chunk's first one. */
  base = 0

  get chunk(): Chunk {
    if (this.#chunk === null) throw new Error('the cursor has no chunk')
    return this.#chunk
  }

  /** Goes to the first row of a range. */
  rewind(): void {
    this.row = 0
    this.byte = 0
    this.stop = 'full'
  }

  /** Goes on with a chunk whose first row is the next one. */
  enter(chunk: Chunk): void {
    this.#chunk = chunk
    this.base = this.row
    this.stop = 'full'
  }

  /** The scratch space, at least `length` bytes of it. */
  scratchOf(length: number): Buffer {
    if (length > this.scratch.length) this.scratch = Buffer.allocUnsafeSlow(length * 2)
    return this.scratch
  }
}

/** Bytes to be sent, filled from `length` on. */
export class Block {
  readonly buffer: Buffer
  /** The same bytes: a number goes in with one store instead of four, a tenth of the loop over an index. */
  readonly view: DataView
  length: number
  constructor(buffer: Buffer, length: number) {
    this.buffer = buffer
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
    this.length = length
  }
}
