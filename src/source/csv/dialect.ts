/**
 * How a CSV file is written. The default is what PostgreSQL's `COPY ... (FORMAT csv)` reads.
 * https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
 */
export interface CsvDialect {
  /** Between fields; `,` by default. More than one byte is read by the general engine. */
  readonly delimiter: string
  /** Around fields, `"` by default; '' for none. */
  readonly quote: string
  /** Before a quote inside a quoted field; the quote itself by default. */
  readonly escape: string
  /** An unquoted field with this text is NULL; '' by default. */
  readonly nullText: string
  /** Whether the first record names the columns. */
  readonly header: boolean
  /** What ends a record: found out from the first record when 'auto', the default. */
  readonly lineEnd: LineEnd | 'auto'
  /** Lines that begin with this are skipped; '' for none, the default. */
  readonly comment: string
  /** Blank lines: a row with one empty field (PostgreSQL's rule, the default), or skipped. */
  readonly emptyLines: 'keep' | 'skip'
}

export type LineEnd = 'lf' | 'crlf' | 'cr'

/** What PostgreSQL's own CSV reader takes, with a header. */
export const defaultDialect: CsvDialect = {
  delimiter: ',',
  quote: '"',
  escape: '"',
  nullText: '',
  header: true,
  lineEnd: 'auto',
  comment: '',
  emptyLines: 'keep',
}
