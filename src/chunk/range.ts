/** A place between two records of an input. Counts start at 1; the header is record 1 of a file that has one. */
export interface Position {
  readonly byte: number
  readonly record: number
  readonly line: number
}

/**
 * A half-open piece of an input, cut at record boundaries: the unit of a claim.
 *
 * Units: `start` and `end` in bytes of the (decompressed) input; `records` and physical `lines` it holds.
 */
export interface Range {
  readonly start: number
  readonly end: number
  readonly firstRecord: number
  readonly firstLine: number
  readonly records: number
  readonly lines: number
}
