import type { TestDatabase } from './database.ts'

/** What is to become of a bad row. */
export interface Expected {
  readonly record: number
  readonly line: number
  readonly byte: number
  readonly raw: Buffer
  readonly code: string
  readonly column: string | null
  readonly constraint: string | null
}

/** The table that rows of `mixedRows` go into, with a row 0 in it; `modes` is what it refers to. */
export const MIXED_TABLE = `
  create table modes (mode text primary key);
  insert into modes values ('AIR'), ('RAIL'), ('SHIP');
  create domain percent as int check (value <= 100);
  create table mixed (
    id bigint primary key,
    price numeric(8,2) not null,
    n int check (n >= 0),
    code varchar(4),
    mode text references modes,
    day date,
    share percent,
    note text
  );
  insert into mixed (id, price) values (0, 0)`

/** Each makes a good row bad, and says what the server, or Millrace, calls that. */
const FAULTS: readonly {
  readonly code: string
  readonly column?: string
  readonly constraint?: string
  readonly change: (row: string[], i: number) => void
}[] = [
  { code: '22P02', column: 'n', change: (row) => (row[2] = '12x') },
  { code: '22P02', column: 'price', change: (row) => (row[1] = 'a lot') },
  { code: '22008', column: 'day', change: (row) => (row[5] = '2024-02-31') },
  { code: '22003', column: 'price', change: (row) => (row[1] = '12345678.90') },
  { code: '22003', column: 'n', change: (row) => (row[2] = '99999999999') },
  { code: '22001', column: 'code', change: (row) => (row[3] = 'ABCDEFG') },
  { code: '23502', column: 'price', change: (row) => (row[1] = '') },
  { code: '23514', constraint: 'mixed_n_check', change: (row) => (row[2] = '-5') },
  { code: '23514', constraint: 'percent_check', change: (row) => (row[6] = '101') },
  { code: '23503', constraint: 'mixed_mode_fkey', change: (row) => (row[4] = 'ROCKET') },
  { code: '23505', constraint: 'mixed_pkey', change: (row) => (row[0] = '0') },
  { code: 'SOURCE_BAD_ROW', change: (row) => row.push('one more') },
  { code: 'SOURCE_BAD_ROW', change: (row) => (row[7] = 'not \xff UTF-8') },
  { code: 'SOURCE_BAD_ROW', change: (row) => (row[7] = 'a \0 NUL') },
]

/**
 * Rows of which some are bad, of every kind in turn, as a file; every 50th good row has a line break of its own.
 *
 * Shape: `isBad` says of which rows, from 0; `good` rows are to be loaded.
 */
export function mixedRows(
  rows: number,
  isBad: (row: number) => boolean,
): {
  readonly bytes: Buffer
  readonly good: number
  readonly bad: readonly Expected[]
} {
  const parts: Buffer[] = [Buffer.from('id,price,n,code,mode,day,share,note\n')]
  const bad: Expected[] = []
  let byte = parts[0]!.length
  let line = 2
  for (let i = 0; i < rows; i++) {
    const row = [
      String(i + 1),
      (((i * 37) % 100_000) / 100).toFixed(2),
      String(i % 1000),
      ['A', 'BB', 'CCC', ''][i % 4]!,
      ['AIR', 'RAIL', 'SHIP'][i % 3]!,
      // The server reads more forms of a date than the encoder does.
      i % 211 === 7 ? 'Jan 5 2024' : `2024-01-${String(1 + (i % 28)).padStart(2, '0')}`,
      String(i % 101),
      i % 50 === 3 ? '"two\nlines"' : `note ${String(i)}`,
    ]
    const fault = isBad(i) ? FAULTS[bad.length % FAULTS.length]! : null
    fault?.change(row, i)
    const raw = Buffer.from(row.join(','), 'latin1')
    if (fault !== null) {
      const { code, column = null, constraint = null } = fault
      bad.push({ record: i + 2, line, byte, raw, code, column, constraint })
    }
    parts.push(raw, Buffer.from('\n'))
    byte += raw.length + 1
    line += 1 + (raw.includes(10) ? 1 : 0)
  }
  return { bytes: Buffer.concat(parts), good: rows - bad.length, bad }
}

/** The rejects of a job, in the order of the file. */
export async function readRejects(db: TestDatabase, job: string): Promise<Expected[]> {
  const rows = await db.query<Record<keyof Expected, string> & { raw: Buffer }>(
    `select record, line, byte, raw, code, column_name as "column", constraint_name as "constraint"
       from millrace.reject where job = (select id from millrace.job where key = $1) order by byte`,
    [job],
  )
  return rows.map(({ record, line, byte, raw, code, column, constraint }) => ({
    record: Number(record),
    line: Number(line),
    byte: Number(byte),
    raw,
    code,
    column,
    constraint,
  }))
}

/** Rows in the table, how many of them are different, and what the claims of a job add up to. */
export async function countMixed(
  db: TestDatabase,
  job: string,
): Promise<Record<'rows' | 'ids' | 'loaded' | 'rejected' | 'read', number>> {
  const sum = (column: string): string =>
    `(select coalesce(sum(${column}), 0)::int from millrace.claim
       where job = (select id from millrace.job where key = $1)) as ${column}`
  const [row] = await db.query<Record<'rows' | 'ids' | 'loaded' | 'rejected' | 'read', number>>(
    `select count(*)::int as rows, count(distinct id)::int as ids,
            ${sum('loaded')}, ${sum('rejected')}, ${sum('read')} from mixed where id > 0`,
    [job],
  )
  return row!
}
