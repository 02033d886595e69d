import type { Fields } from '../../chunk/fields.ts'
import type { CsvDialect } from './dialect.ts'

/** Makes NULL of every unquoted field that is the dialect's null text. */
export function nullFields(fields: Fields, dialect: CsvDialect): void {
  const { bytes, offsets } = fields
  const text = Buffer.from(dialect.nullText)
  const quote = Buffer.from(dialect.quote)[0]!
  const end = fields.rowCount * fields.fieldCount * 2
  for (let k = 0; k < end; k += 2) {
    const from = offsets[k]!
    if (offsets[k + 1]! - from !== text.length) continue
    // What stands before an unquoted field is a delimiter, a line end or nothing.
    if (from > 0 && bytes[from - 1] === quote) continue
    if (bytes.compare(text, 0, text.length, from, from + text.length) !== 0) continue
    offsets[k] = -1
    offsets[k + 1] = -1
  }
}
