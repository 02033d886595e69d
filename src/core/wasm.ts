import { readFileSync } from 'node:fs'

/** WebAssembly's memory comes in pages of this size. A kernel's own tables are in the first. */
export const PAGE_BYTES = 65536

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

const compiled = new Map<string, WebAssembly.Module>()

/**
 * Starts a kernel with a memory of its own, of at least `size` bytes, which never grows.
 *
 * Shape: `path` is that of the built file in dist; sources, which tests run, use the same.
 */
export function startKernel<Kernel extends object>(
  path: string,
  size: number,
  imports: object = {},
): { readonly kernel: Kernel; readonly memory: Buffer } {
  let module = compiled.get(path)
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(new URL(`../../dist/${path}`, import.meta.url)))
    compiled.set(path, module)
  }
  const memory = new WebAssembly.Memory({ initial: Math.ceil(size / PAGE_BYTES) })
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, ...imports })
  return { kernel: exports as Kernel, memory: Buffer.from(memory.buffer) }
}
