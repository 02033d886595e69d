import { Block } from './rows.ts'

/** One CopyData message: 'd', its length, the data. From 32 to 256 KiB no difference was measured. */
const BLOCK_BYTES = 256 * 1024
/** Bytes before the data: message type and length. */
const HEAD = 5

/**
 * The blocks of a lane: this many are encoded or under way to the server, then the encoder waits. This is what lets
 * a lane encode ahead while the server works, and what bounds its memory.
 */
export class BlockPool {
  readonly #free: Block[] = []
  readonly #waiting: (() => void)[] = []
  #created = 0
  readonly #limit: number
  #closed = false

  constructor(limit: number) {
    this.#limit = limit
  }

  /** An empty block, as soon as one is free. Throws once the pool is closed. */
  async take(): Promise<Block> {
    for (;;) {
      if (this.#closed) throw new Error('the block pool is closed')
      const block = this.#free.pop() ?? this.#create()
      if (block !== null) {
        block.length = HEAD
        return block
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Takes a block back; one that was grown for a large row is left to the garbage collector. */
  give(block: Block): void {
    if (block.buffer.length === BLOCK_BYTES) this.#free.push(block)
    else this.#created--
    this.#waiting.shift()?.()
  }

  /** Ends every wait for a block: nobody is going to send what would be encoded. */
  close(): void {
    this.#closed = true
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #create(): Block | null {
    if (this.#created === this.#limit) return null
    this.#created++
    return new Block(Buffer.allocUnsafeSlow(BLOCK_BYTES), HEAD)
  }
}

/** A larger block with the same bytes, for a row that does not fit into an empty one. */
export function growBlock(block: Block): Block {
  const larger = new Block(Buffer.allocUnsafeSlow(block.buffer.length * 2), block.length)
  block.buffer.copy(larger.buffer, 0, 0, block.length)
  return larger
}

/** Whether a block holds no data yet. */
export function isEmpty(block: Block): boolean {
  return block.length === HEAD
}

/** The block as a CopyData message, ready to be sent. */
export function asMessage(block: Block): Buffer {
  block.buffer[0] = 0x64
  block.buffer.writeInt32BE(block.length - 1, 1)
  return block.buffer.subarray(0, block.length)
}
