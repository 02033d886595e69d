import { startKernel } from '../../core/wasm.ts'

/** The kernel's exports, as in ../kernel/rows.ts and indexed.ts; addresses are offsets in its memory. */
export interface RowKernel {
  configure(
    delimiter: number,
    quote: number,
    crlf: boolean,
    emptyIsNull: boolean,
    fields: number,
    columns: number,
    kindsAt: number,
    scratchAt: number,
  ): void
  encodeRows(from: number, to: number, out: number, limit: number): number
  indexRows(from: number, to: number, offsets: number, most: number): number
  encodeIndexed(
    origin: number,
    offsets: number,
    plan: number,
    columns: number,
    selection: number,
    others: number,
    other: number,
    row: number,
    count: number,
    out: number,
    limit: number,
  ): number
  readonly nextInput: { readonly value: number }
  readonly nextOutput: { readonly value: number }
  readonly rows: { readonly value: number }
  readonly indexedRows: { readonly value: number }
  readonly indexedEnd: { readonly value: number }
}

/** What encodeRows answers, as in ../kernel/outcome.ts; 0 when it is through with its input. */
export const NO_ROOM = -2
export const CUT_OFF = -3

/** In the kernel's plan, a field that no column takes; as in ../kernel/kinds.ts. */
export const LEFT_OUT = 255

/** The kernel reads and writes up to this far behind an area, sixteen bytes at a time. */
export const SLACK_BYTES = 64

/** Encodes what the kernel does not: text in its memory, to its memory; the offset behind the field, or less than 0. */
export type EncodeOther = (kind: number, from: number, to: number, at: number) => number

/** Starts a kernel with a memory of its own, of at least `size` bytes. */
export function startRowKernel(
  size: number,
  encodeOther: EncodeOther,
): { readonly kernel: RowKernel; readonly memory: Buffer } {
  return startKernel<RowKernel>('copy/kernel/rows.wasm', size, { fields: { encodeOther } })
}
