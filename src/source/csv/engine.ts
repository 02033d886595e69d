import type { Structure } from './index-clean.ts'
import type { BadRecord, Fields } from '../../chunk/fields.ts'

/** How far a scan came. `end` is 0 when the bytes hold no whole record. */
export interface Scan {
  /** Byte after the last whole record. */
  readonly end: number
  /** Whole records in bytes[0, end). */
  readonly records: number
  /** Physical lines (line ends, quoted ones too) in bytes[0, end). */
  readonly lines: number
}

/** A chunk and the records of its range that cannot become rows. */
export interface Indexed {
  readonly fields: Fields
  readonly bad: readonly BadRecord[]
  /** Blank lines that the dialect skips, where a scan counts them as records: which of the range's records they are. */
  readonly skipped: readonly number[]
}

/**
 * What a CSV engine does: finds where records end, and where the fields of each record are.
 * Both are pure and see bytes that begin at the start of a record.
 */
export interface CsvEngine {
  /** The bytes that give a range its structure, where its rows can be read without an index; else null. */
  readonly structure: Structure | null

  /**
   * Scans for record boundaries without looking at fields.
   *
   * Shape: `atEnd` says that the input ends with these bytes; then a last record without a line end counts.
   */
  scan(bytes: Buffer, atEnd: boolean): Scan

  /**
   * Indexes the fields of every record of a range.
   *
   * Shape:  every row has `fieldCount` fields; a record with another number of fields is in `bad` and not in the fields.
   *         With fieldCount 0 the first record decides. `records` is how many are expected, to make room for.
   */
  index(bytes: Buffer, fieldCount: number, records: number): Indexed
}
