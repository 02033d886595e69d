import { type Chunk, countRows } from '../chunk/chunk.ts'
import { type Column, FieldColumn } from '../chunk/column.ts'
import type { Fields } from '../chunk/fields.ts'
import type { Result } from '../chunk/value.ts'
import type { Kind } from './kinds.ts'

/** One column of the COPY: which column of a chunk it takes, and how that is encoded. */
export interface CopyColumn {
  readonly slot: number
  readonly kind: Kind
}

/** The columns as the row loops want them. */
export class RowPlan {
  readonly slots: Int32Array
  readonly kinds: Uint8Array
  constructor(columns: readonly CopyColumn[]) {
    this.slots = Int32Array.from(columns, (column) => column.slot)
    this.kinds = Uint8Array.from(columns, (column) => column.kind)
  }
}

const NO_FIELDS: Fields = {
  bytes: Buffer.alloc(0),
  rowCount: 0,
  fieldCount: 0,
  offsets: new Int32Array(0),
  quote: -1,
}

/** The rows of a chunk as the row loops want them: by position among the rows that are in, and by column of the COPY. */
export class ChunkRows {
  /** How many are in. */
  readonly count: number
  /** Null while all are. */
  readonly selection: Int32Array | null
  /** What the columns of the input refer to. */
  readonly fields: Fields
  /** By column of the COPY: its field, -1 for one whose values a stage has given. */
  readonly fieldOf: Int32Array
  /** By column of the COPY: those values, none for a field. */
  readonly valuesOf: readonly (readonly Result[])[]

  constructor(chunk: Chunk, { slots }: RowPlan) {
    const columns: Column[] = [] // no map(): see valueArrays()
    const valuesOf: (readonly Result[])[] = []
    for (const slot of slots) {
      const column = chunk.columns[slot]!
      columns.push(column)
      valuesOf.push(column instanceof FieldColumn ? [] : column.values)
    }
    this.count = countRows(chunk)
    this.selection = chunk.selection
    this.fields = columns.find((column) => column instanceof FieldColumn)?.fields ?? NO_FIELDS
    this.fieldOf = Int32Array.from(columns, (column) =>
      column instanceof FieldColumn ? column.field : -1,
    )
    this.valuesOf = valuesOf
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
  #rows: ChunkRows | null = null

  /** Rows of the range before the chunk's first one. */
  base = 0

  get rows(): ChunkRows {
    if (this.#rows === null) throw new Error('the cursor has no rows')
    return this.#rows
  }

  /** Goes to the first row of a range. */
  rewind(): void {
    this.row = 0
    this.byte = 0
    this.stop = 'full'
  }

  /** Goes on with rows the first of which is the next one. */
  enter(rows: ChunkRows): void {
    this.#rows = rows
    this.base = this.row
    this.stop = 'full'
  }

  /** The scratch space, at least `length` bytes of it. */
  scratchOf(length: number): Buffer {
    if (length > this.scratch.length) this.scratch = Buffer.allocUnsafeSlow(length * 2)
    return this.scratch
  }
}

/** Writes rows from the cursor's one on into a block, moves the cursor and sets its `stop`. */
export interface RowEncoder {
  encode(cursor: RowCursor, plan: RowPlan, block: Block): void
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
