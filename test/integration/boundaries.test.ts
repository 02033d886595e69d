import { describe, expect, test } from 'vitest'
import { load } from '../../dist/index.js'
import { useDatabase } from '../helpers/database.ts'
import { runLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const CHUNK = 1024
const HEADER = 'id,note\n'
/** Quotes that close and open again, delimiters and line ends within quotes. */
const HOSTILE = 'x\n"\r\n,"",\n"y'

const db = useDatabase()
const dir = useTempDir()

/** Rows with ids of four digits from `first` on, of so many bytes together. */
function filler(bytes: number, first: number): string[][] {
  const rows: string[][] = []
  for (let left = bytes, id = first; left > 0; id++) {
    const length = left < 40 ? left : 12
    rows.push([String(id), 'f'.repeat(length - '1000,\n'.length)])
    left -= length
  }
  return rows
}

function csv(rows: readonly string[][], lineEnd = '\n'): string {
  return rows
    .map((row) =>
      row.map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)),
    )
    .map((row) => `${row.join(',')}${lineEnd}`)
    .join('')
}

describe('a chunk that would end within a record', () => {
  // The bytes of the hostile record, and some more on each side, come to lie on the end of the first chunk in turn.
  const record = csv([['2000', HOSTILE]])
  const offsets = Array.from({ length: record.length + 8 }, (_, i) => i - 4)

  test('is cut at a record boundary, wherever the quoted newlines are', async () => {
    for (const offset of offsets) {
      const table = `cut_${String(offset + 4)}`
      const rows = [
        ...filler(CHUNK - offset, 1000),
        ['2000', HOSTILE],
        ...filler(CHUNK - 60, 3000),
        ['4000', HOSTILE],
        ['4001', 'end'],
      ]
      const input = await dir.write(`${table}.csv`, HEADER + csv(rows))
      await db.query(`create table ${table} (id text, note text)`)
      const summary = await load({ input, to: db.url, table, chunkSize: CHUNK, lanes: 1 })
      const loaded = await db.query<{ id: string; note: string }>(
        `select * from ${table} order by id::int`,
      )
      expect(
        loaded.map(({ id, note }) => [id, note]),
        `offset ${String(offset)}`,
      ).toEqual(rows)
      expect(summary.chunks).toBeGreaterThan(1)
    }
  })

  test('is cut at a record boundary in a file with CRLF, with more lanes and inferred types', async () => {
    for (const offset of offsets.filter((each) => each % 5 === 0)) {
      const table = `crlf_${String(offset + 4)}`
      const rows = [...filler(CHUNK - offset, 1000), ['2000', HOSTILE], ['2001', 'end']]
      const input = await dir.write(`${table}.csv`, csv([['id', 'note'], ...rows], '\r\n'))
      await load({ input, to: db.url, table, chunkSize: CHUNK, lanes: 2 })
      const loaded = await db.query<{ id: number; note: string }>(
        `select * from ${table} order by id`,
      )
      expect(
        loaded.map(({ id, note }) => [String(id), note]),
        `offset ${String(offset)}`,
      ).toEqual(rows)
    }
  })

  test('grows for a record that is longer than a chunk', async () => {
    const long = `"\n,`.repeat(2000)
    const rows = [
      ['1', 'short'],
      ['2', long],
      ['3', ''],
      ['4', long],
      ['5', 'short'],
    ]
    const input = await dir.write('long.csv', HEADER + csv(rows))
    await db.query('create table long (id text, note text)')
    await load({ input, to: db.url, table: 'long', chunkSize: CHUNK, lanes: 2 })
    const loaded = await db.query<{ id: string; note: string | null }>(
      'select * from long order by id',
    )
    expect(loaded.map(({ id, note }) => [id, note ?? ''])).toEqual(rows)
  })
})

describe('a load of many chunks', () => {
  test('says nothing on standard error, not even a warning of the runtime', async () => {
    const rows = filler(300 * CHUNK, 10_000)
    const input = await dir.write('many.csv', HEADER + csv(rows))
    const run = await runLoad(db, [input, '--chunk-size', '1KiB', '--lanes', '2'])
    expect(run.code).toBe(0)
    expect(run.report.chunks).toBeGreaterThan(250)
    expect(run.stderr).toBe('')
  })
})
