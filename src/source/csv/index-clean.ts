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

/** What is indexed, and where to. */
export interface Indexing {
  readonly bytes: Buffer
  readonly structure: Structure
  readonly fieldCount: number
  readonly store: OffsetStore
}

/** How far an index has come: the byte and the record that are next, and the rows it has. */
export interface IndexPlace {
  byte: number
  record: number
  rows: number
}

/** Where the bytes end that indexClean can read: behind the last line end, or before all where a stray LF may be anywhere. */
export function cleanEnd(bytes: Buffer, { terminator }: Structure): number {
  return terminator === 13 && bytes.includes(10) ? 0 : bytes.lastIndexOf(terminator) + 1
}

/**
 * Indexes records from a place on, as long as they are sound and every quote stands at the edge of its field.
 *
 * Shape: moves the place before the first record with anything out of the ordinary, for indexCareful to take it; or to
 *        `end`, which is that of cleanEnd().
 * Why:   three times as fast as the careful indexer, and nearly all records are of this kind. A loop over words of four
 *        bytes that writes down the separators, then one over these, gave 500 MB/s against 450 here, for twice the code.
 */
export function indexClean(
  { bytes, structure, fieldCount, store }: Indexing,
  end: number,
  place: IndexPlace,
): void {
  const { delimiter, quote, terminator, crlf } = structure
  const empty = structure.emptyIsNull ? -1 : 0
  const stride = fieldCount * 2
  const firstRow = place.rows

  let offsets = store.offsets
  let k = firstRow * stride
  let i = place.byte
  // The loops over fields run to the next separator without asking for the end of the bytes: there is one.
  records: while (i < end) {
    const rowEnd = k + stride
    if (rowEnd > offsets.length) {
      store.reserve(rowEnd)
      offsets = store.offsets
    }
    for (;;) {
      let byte = bytes[i]!
      if (byte === quote) {
        const start = i++
        let raw = false
        for (;;) {
          while (i < end && bytes[i] !== quote) i++
          if (i + 1 >= end) break records
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
      if (byte !== delimiter) {
        if (crlf ? byte !== 13 || bytes[++i] !== 10 : byte !== terminator) break records
        break
      }
      if (k === rowEnd) break records
      i++
    }
    if (k !== rowEnd) break
    place.byte = ++i
    place.rows++
  }
  place.record += place.rows - firstRow
}
