/**
 * The rows of a range as a view over bytes: two offsets per field, no object or string per row.
 *
 * Shape: field (row r, field f) has its offsets at `k = 2 * (r * fieldCount + f)`:
 *        `offsets[k] >= 0, offsets[k + 1] >= 0`  the value is bytes[offsets[k], offsets[k + 1])
 *        `offsets[k] >= 0, offsets[k + 1] < 0`   raw bytes[offsets[k], ~offsets[k + 1]) still hold quotes: see unquote()
 *        `offsets[k] < 0`                        NULL (both are -1)
 * Life:  the next chunk of the same indexer reuses `offsets`; use a chunk before asking for the next one.
 */
export interface Fields {
  readonly bytes: Buffer
  readonly rowCount: number
  readonly fieldCount: number
  readonly offsets: Int32Array
  /** The quote character of the raw fields; -1 where none is raw. */
  readonly quote: number
}

/** A record that cannot become a row, by its place in the range. */
export interface BadRecord {
  /** 0-based, among the records of the range; blank lines count, also where they are skipped. */
  readonly record: number
  /** Byte offset of the record's first byte in the range. */
  readonly byte: number
  /** What is wrong, where and what was expected, without the record's bytes. */
  readonly reason: string
}
