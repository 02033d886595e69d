import type { Buffers } from '../../source/csv/cut.ts'

/** The buffers that ranges travel in, to the lanes and back: their number is what bounds how far the reader runs ahead. */
export class BufferPool implements Buffers {
  readonly #size: number
  readonly #limit: number
  readonly #free: ArrayBuffer[] = []
  readonly #waiting: (() => void)[] = []
  #taken = 0
  #closed = false

  constructor(size: number, limit: number) {
    this.#size = size
    this.#limit = limit
  }

  async take(length: number): Promise<ArrayBuffer> {
    while (this.#taken >= this.#limit) {
      if (this.#closed) throw new Error('the buffer pool is closed')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#taken++
    const free = length <= this.#size ? this.#free.pop() : undefined
    return free ?? new ArrayBuffer(Math.max(length, this.#size))
  }

  give(buffer: ArrayBuffer): void {
    this.#taken--
    if (buffer.byteLength === this.#size) this.#free.push(buffer)
    this.#waiting.shift()?.()
  }

  /** Ends every wait for a buffer: the lanes will not give any back. */
  close(): void {
    this.#closed = true
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
