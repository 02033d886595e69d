/** The offsets of one chunk; kept and reused from chunk to chunk, growing to the largest. */
export class OffsetStore {
  offsets = new Int32Array(0)

  /** Makes room for `length` numbers, keeping what is there. */
  reserve(length: number): void {
    if (length <= this.offsets.length) return
    const larger = new Int32Array(Math.ceil(length * 1.125))
    larger.set(this.offsets)
    this.offsets = larger
  }
}
