/** Keys of some rows, encoded: key i is bytes[ends[i - 1], ends[i]), from 0 for the first. */
export interface KeyBatch {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array
}

/** Which keys of a batch nobody has asked of before, in the order of the input. */
export interface Firsts {
  /** By key, 1 for a first one, else 0. */
  readonly firsts: Uint8Array
  /** The first key that there is no memory left for; -1 when all were taken. */
  readonly full: number
}

const FIRST_BYTES = 1 << 14

/**
 * Encodes keys, part by part.
 *
 * Shape: a part is a byte 0 for NULL, else the length of its text in UTF-8 plus 1, seven bits to a byte, the lowest first
 *        and the highest bit set where more follow, and the text. So no two keys of as many parts have the same bytes.
 */
export class KeyWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #length = 0
  #ends = new Uint32Array(0)
  #count = 0

  /** Begins a batch of up to so many keys. */
  begin(most: number): void {
    this.#length = 0
    this.#count = 0
    if (this.#ends.length < most) this.#ends = new Uint32Array(most)
  }

  putNull(): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = 0
  }

  putText(text: string): void {
    const length = Buffer.byteLength(text)
    this.#putLength(length)
    this.#length += this.#bytes.write(text, this.#length)
  }

  putBytes(bytes: Buffer, from: number, to: number): void {
    this.#putLength(to - from)
    if (to - from > SHORT) bytes.copy(this.#bytes, this.#length, from, to)
    else for (let i = from, at = this.#length; i < to; i++, at++) this.#bytes[at] = bytes[i]!
    this.#length += to - from
  }

  /** The key is complete. */
  endKey(): void {
    this.#ends[this.#count++] = this.#length
  }

  /** Takes back what there is of a key that turns out to have none. */
  dropKey(): void {
    this.#length = this.#count === 0 ? 0 : this.#ends[this.#count - 1]!
  }

  /** The batch, in memory of its own: it may move to another thread. */
  end(): KeyBatch {
    const bytes = new Uint8Array(this.#length)
    bytes.set(this.#bytes.subarray(0, this.#length))
    return { bytes, ends: this.#ends.slice(0, this.#count) }
  }

  #putLength(length: number): void {
    this.#reserve(length + LONGEST_HEAD)
    let rest = length + 1
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
    this.#bytes[this.#length++] = rest
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Up to this length a loop is faster than a call. */
const SHORT = 24
const LONGEST_HEAD = 5
