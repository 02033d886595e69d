import { readFileSync } from 'node:fs'

/** The kernel's exports, as in ../kernel/rows.ts; addresses are offsets in its memory. */
export interface Kernel {
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
  readonly nextInput: { readonly value: number }
  readonly nextOutput: { readonly value: number }
  readonly rows: { readonly value: number }
}

/** What encodeRows answers, as in ../kernel/outcome.ts; 0 when it is through with its input. */
export const NO_ROOM = -2
export const CUT_OFF = -3

/** In the kernel's plan, a field that no column takes; as in ../kernel/kinds.ts. */
export const LEFT_OUT = 255

/** WebAssembly's memory comes in pages of this size. The kernel's own tables are in the first. */
export const PAGE_BYTES = 65536
/** The kernel reads and writes up to this far behind an area, sixteen bytes at a time. */
export const SLACK_BYTES = 64

/** Encodes what the kernel does not: text in its memory, to its memory; the offset behind the field, or less than 0. */
export type EncodeOther = (kind: number, from: number, to: number, at: number) => number

/** What Node.js has and its types leave out. */
declare namespace WebAssembly {
  class Memory {
    constructor(size: { initial: number })
    readonly buffer: ArrayBuffer
  }
  class Module {
    constructor(code: Uint8Array)
  }
  class Instance {
    constructor(module: Module, imports: object)
    readonly exports: object
  }
}

let compiled: WebAssembly.Module | null = null

/** Starts a kernel with a memory of its own, of at least `size` bytes, which never grows. */
export function startKernel(
  size: number,
  encodeOther: EncodeOther,
): { readonly kernel: Kernel; readonly memory: Buffer } {
  // The same file for the sources, which tests run, and for what is built of them.
  const file = new URL('../../../dist/copy/kernel/rows.wasm', import.meta.url)
  compiled ??= new WebAssembly.Module(readFileSync(file))
  const memory = new WebAssembly.Memory({ initial: Math.ceil(size / PAGE_BYTES) })
  const imports = { env: { memory }, rows: { encodeOther } }
  const { exports } = new WebAssembly.Instance(compiled, imports)
  return { kernel: exports as Kernel, memory: Buffer.from(memory.buffer) }
}
