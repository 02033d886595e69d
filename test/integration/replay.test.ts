import { readFile, writeFile } from 'node:fs/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import {
  exportRejects,
  filter,
  flatMap,
  load,
  type LoadOptions,
  map,
  replayRejects,
  type Row,
  status,
  validate,
} from '../../dist/index.js'
import { countMixed, MIXED_TABLE, mixedRows, readRejects } from '../helpers/bad-rows.ts'
import { useDatabase } from '../helpers/database.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const JOB = 'replayed'

beforeEach(async () => {
  await db.query('drop table if exists mixed, modes, lines; drop domain if exists percent')
  await db.query('drop schema if exists millrace cascade')
  await db.query(MIXED_TABLE)
})

function replay(more: Partial<Parameters<typeof replayRejects>[0]> = {}) {
  return replayRejects({ to: db.url, job: JOB, ...more })
}

async function loadMixed(rows = 2800): Promise<{ good: number; bad: number }> {
  const { bytes, good, bad } = mixedRows(rows, (row) => row % 100 === 40)
  const input = await dir.write('mixed.csv', bytes)
  await load({ input, to: db.url, table: 'mixed', job: JOB, maxErrors: '5%' })
  return { good, bad: bad.length }
}

describe('a replay', () => {
  test('of rows that nobody has mended refuses them again, for the same reasons', async () => {
    const { good, bad } = await loadMixed()
    const before = await readRejects(db, JOB)
    expect(await replay()).toMatchObject({ replayed: 0, loaded: 0, refused: bad, filtered: 0 })
    expect(await readRejects(db, JOB)).toEqual(before)
    expect(await countMixed(db, JOB)).toMatchObject({ rows: good, loaded: good, rejected: bad })
  })

  test('loads what the table takes now, and does so once', async () => {
    const { good, bad } = await loadMixed()
    await db.query(`insert into modes values ('ROCKET'); alter table mixed drop constraint mixed_n_check;
      alter table mixed alter column code type varchar(10)`)
    const summary = await replay()
    expect(summary).toMatchObject({ replayed: 6, loaded: 6, refused: bad - 6, filtered: 0 })
    expect(await countMixed(db, JOB)).toMatchObject({ rows: good + 6, ids: good + 6 })
    expect(await replay()).toMatchObject({ replayed: 0, loaded: 0, refused: bad - 6 })
    expect(await countMixed(db, JOB)).toMatchObject({ rows: good + 6, ids: good + 6 })
    expect(await status({ to: db.url })).toMatchObject([
      { job: JOB, status: 'complete', rows: good + 6, rejects: bad - 6, replayed: 6 },
    ])
  })

  test('of one reason leaves the others alone', async () => {
    await loadMixed()
    await db.query(
      `insert into modes values ('ROCKET'); alter table mixed drop constraint mixed_n_check`,
    )
    expect(await replay({ reason: '23503' })).toMatchObject({ replayed: 2, refused: 0 })
    expect(await db.value(`select count(*)::int from mixed where n < 0`)).toBe(0)
  })
})

describe('mended rejects', () => {
  test.each(['ndjson', 'csv'])('are loaded from an edited export as %s', async (format) => {
    const { good, bad } = await loadMixed()
    const output = dir.path(`mended.${format}`)
    expect(await exportRejects({ to: db.url, job: JOB, output })).toEqual({ rejects: bad })
    const text = await readFile(output, 'utf8')
    const mended = text.replaceAll('12x', '12').replaceAll('2024-02-31', '2024-02-29')
    await writeFile(output, mended)
    expect(await replay({ from: output })).toMatchObject({
      replayed: 4,
      loaded: 4,
      refused: bad - 4,
    })
    expect(await countMixed(db, JOB)).toMatchObject({ rows: good + 4, ids: good + 4 })
    expect(await db.value(`select count(*)::int from mixed where day = '2024-02-29'`)).toBe(2)
    expect(await replay({ from: output })).toMatchObject({ replayed: 0, loaded: 0 })
    expect(await countMixed(db, JOB)).toMatchObject({ rows: good + 4, ids: good + 4 })
  })
})

describe('a record that gave several rows', () => {
  const splitAt = (separator: string) =>
    flatMap((row: Row) =>
      String(row['items'])
        .split(separator)
        .map((item, i) => ({ id: row['id']!, items: `${item}${String(i)}` })),
    )

  async function loadLines(stages: LoadOptions['stages']): Promise<void> {
    await db.query(`create table lines (id int, items text check (items not like 'bad%'))`)
    const input = await dir.write('lines.csv', 'id,items\n1,a|b|c\n2,bad|d|bad|e\n3,\xff\n4,f|g\n')
    await load({ input, to: db.url, table: 'lines', job: JOB, stages, maxErrors: '100%' })
  }

  async function lines(): Promise<string[]> {
    const rows = await db.query<{ line: string }>(
      `select id || items as line from lines order by id, items`,
    )
    return rows.map(({ line }) => line)
  }

  test('loads only those again that were refused', async () => {
    await loadLines([splitAt('|')])
    expect(await lines()).toEqual(['1a0', '1b1', '1c2', '2d1', '2e3', '3ÿ0', '4f0', '4g1'])
    await db.query('alter table lines drop constraint lines_items_check')
    expect(await replay({ stages: [splitAt('|')] })).toMatchObject({ replayed: 2, loaded: 2 })
    const all = ['1a0', '1b1', '1c2', '2bad0', '2bad2', '2d1', '2e3', '3ÿ0', '4f0', '4g1']
    expect(await lines()).toEqual(all)
  })

  test('says of a row that is not made any more, and keeps it', async () => {
    await loadLines([splitAt('|')])
    await db.query('alter table lines drop constraint lines_items_check')
    expect(await replay({ stages: [splitAt(';')] })).toMatchObject({ replayed: 1, refused: 1 })
    expect(
      await db.query('select code, part from millrace.reject where replayed_at is null'),
    ).toEqual([{ code: 'STAGE_NO_ROW', part: [2] }])
  })
})
