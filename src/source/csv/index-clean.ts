import type { OffsetStore } from './offset-store.ts'

/** The bytes that matter to the fast engine. */
export interface Structure {
  readonly delimiter: number
  readonly quote: number
  /** The last byte of a line end: LF, also for CRLF, or CR. */
  readonly terminator: number
  /** Whether a CR stands before each terminator. */
  readonly crlf: boolean
  /** Whether an unquoted field without bytes is NULL. */
  readonly emptyIsNull: boolean
}

/**
 * Indexes a range in which every record is sound and every quote stands at the edge of its field.
 *
 * Shape: returns the number of rows, or -1 when anything is out of the ordinary; then indexCareful takes the range.
 * Why:   twice as fast as the careful indexer, and nearly all ranges are of this kind. A loop over words of four bytes
 *        that writes down the separators, then one over these, gave 500 MB/s against 450 here, for twice the code.
 */
export function indexClean(
  bytes: Buffer,
  structure: Structure,
  fieldCount: number,
  store: OffsetStore,
): number {
  const { delimiter, quote, terminator, crlf } = structure
  const empty = structure.emptyIsNull ? -1 : 0
  const length = bytes.length
  const stride = fieldCount * 2
  // The loops below run to the next separator without asking for the end of the bytes: there must be one.
  if (length === 0 || bytes[length - 1] !== terminator) return -1
  if (terminator === 13 && bytes.includes(10)) return -1

  store.reserve(stride)
  let offsets = store.offsets
  let k = 0
  let rowEnd = stride
  let i = 0
  while (i < length) {
    let byte = bytes[i]!
    if (byte === quote) {
      const start = i++
      let raw = false
      for (;;) {
        while (i < length && bytes[i] !== quote) i++
        if (i + 1 >= length) return -1
        if (bytes[i + 1] !== quote) break
        raw = true
        i += 2
      }
      offsets[k] = raw ? start : start + 1
      offsets[k + 1] = raw ? ~(i + 1) : i
      byte = bytes[++i]!
    } else {
      const start = i
      while (byte !== delimiter && byte !== terminator && byte !== quote && byte !== 13) {
        byte = bytes[++i]!
      }
      offsets[k] = i === start && empty < 0 ? -1 : start
      offsets[k + 1] = i === start && empty < 0 ? -1 : i
    }
    k += 2
    if (byte === delimiter) {
      if (k === rowEnd) return -1
      i++
      continue
    }
    if (crlf) {
      if (byte !== 13 || bytes[++i] !== 10) return -1
    } else if (byte !== terminator) return -1
    if (k !== rowEnd) return -1
    i++
    rowEnd += stride
    if (rowEnd > offsets.length && i < length) {
      store.reserve(rowEnd)
      offsets = store.offsets
    }
  }
  return k / stride
}
