/** What is known of the rows, set once. */
export let delimiter: u8 = 0
export let quote: u8 = 0
export let crlf = false
export let emptyIsNull = false
export let fieldCount: i32 = 0
export let columnCount: i32 = 0
/** A byte for each field. */
export let kinds: i32 = 0
/** Room for a field as long as the input. */
export let scratch: i32 = 0

/** `columns` is how many a tuple has. */
export function configure(
  delimiterByte: u8,
  quoteByte: u8,
  isCrlf: bool,
  isEmptyNull: bool,
  fields: i32,
  columns: i32,
  kindsAt: i32,
  scratchAt: i32,
): void {
  delimiter = delimiterByte
  quote = quoteByte
  crlf = isCrlf
  emptyIsNull = isEmptyNull
  fieldCount = fields
  columnCount = columns
  kinds = kindsAt
  scratch = scratchAt
}
