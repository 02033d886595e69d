/** A message of a client to the server. https://www.postgresql.org/docs/current/protocol-message-formats.html */
export interface Message {
  /** Its place among all messages that the proxy has seen, from 1. */
  readonly number: number
  /** `Q` query, `d` CopyData, `c` CopyDone, `f` CopyFail, `P` Parse ...; `startup` has no letter. */
  readonly type: string
  /** The SQL of a query. */
  readonly text: string
}

/** Bytes on their way: of a message that begins with them, or of the one before. */
export interface Piece {
  readonly begins: { readonly type: string; readonly text: string } | null
  readonly bytes: Buffer
}

const COPY_DATA = 0x64

/** Cuts what a client sends into messages; CopyData goes through in the pieces it comes in, all else whole. */
export class MessageCutter {
  #held: Buffer = Buffer.alloc(0)
  /** Bytes that are still to come of a CopyData. */
  #open = 0
  #started = false

  #take(length: number): Buffer {
    const taken = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return taken
  }

  *push(bytes: Buffer): Generator<Piece> {
    this.#held = Buffer.concat([this.#held, bytes])
    while (this.#held.length > 0) {
      if (this.#open > 0) {
        const piece = this.#take(Math.min(this.#open, this.#held.length))
        this.#open -= piece.length
        yield { begins: null, bytes: piece }
        continue
      }
      const head = this.#started ? 1 : 0
      if (this.#held.length < head + 4) return
      const length = head + this.#held.readUInt32BE(head)
      if (this.#held[0] === COPY_DATA && this.#started) {
        this.#open = length - 5
        yield { begins: { type: 'd', text: '' }, bytes: this.#take(5) }
        continue
      }
      if (this.#held.length < length) return
      const message = this.#take(length)
      yield { begins: this.#name(message), bytes: message }
    }
  }

  #name(message: Buffer): { type: string; text: string } {
    if (!this.#started) {
      // A request for TLS, which the server refuses, comes before the startup.
      this.#started = message.readUInt32BE(4) === 196_608
      return { type: 'startup', text: '' }
    }
    const type = String.fromCharCode(message[0]!)
    const text = type === 'Q' || type === 'P' ? message.toString('utf8', 5) : ''
    return { type, text: text.replaceAll('\0', ' ').trim() }
  }
}
