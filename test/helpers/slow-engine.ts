import type { BadRecord } from '../../src/chunk/fields.ts'
import type { CsvDialect } from '../../src/source/csv/dialect.ts'
import type { CsvEngine } from '../../src/source/csv/engine.ts'
import { fastEngine } from '../../src/source/csv/fast-engine.ts'
import { indexCareful } from '../../src/source/csv/index-careful.ts'
import { nullFields } from '../../src/source/csv/null-text.ts'
import { OffsetStore } from '../../src/source/csv/offset-store.ts'

/** The fast engine where it takes nothing for granted: every record is indexed byte by byte. */
export function slowEngine(dialect: CsvDialect): CsvEngine {
  const structure = {
    delimiter: Buffer.from(dialect.delimiter)[0]!,
    quote: Buffer.from(dialect.quote)[0]!,
    terminator: dialect.lineEnd === 'cr' ? 13 : 10,
    crlf: dialect.lineEnd === 'crlf',
    emptyIsNull: dialect.nullText === '',
  }
  const { scan } = fastEngine(dialect)
  return {
    structure: null,
    scan,
    index(bytes, fieldCount) {
      const store = new OffsetStore()
      const place = { byte: 0, record: 0, rows: 0 }
      const bad: BadRecord[] = []
      const skipped: number[] = []
      const blanks = dialect.emptyLines === 'skip' ? skipped : null
      indexCareful({ bytes, structure, fieldCount, store }, Infinity, place, bad, blanks)
      const { offsets } = store
      const { quote } = structure
      const fields = { bytes, rowCount: place.rows, fieldCount, offsets, quote }
      if (dialect.nullText !== '') nullFields(fields, dialect)
      return { fields, bad, skipped }
    },
  }
}
