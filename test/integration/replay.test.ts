import { readFile, writeFile } from 'node:fs/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { Pool } from 'pg'
import {
  dedupe,
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
    const input = await dir.write('lines.csv', 'id,items\n1,a|b|c\n2,bad|d|bad|e\n3,x\n4,f|g\n')
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
    expect(await lines()).toEqual(['1a0', '1b1', '1c2', '2d1', '2e3', '3x0', '4f0', '4g1'])
    await db.query('alter table lines drop constraint lines_items_check')
    expect(await replay({ stages: [splitAt('|')] })).toMatchObject({ replayed: 2, loaded: 2 })
    const all = ['1a0', '1b1', '1c2', '2bad0', '2bad2', '2d1', '2e3', '3x0', '4f0', '4g1']
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

  test('that was refused as a whole is dealt with when one of its rows is loaded', async () => {
    const failing = flatMap(() => {
      throw new Error('not yet')
    })
    await loadLines([failing])
    expect(await lines()).toEqual([])
    const stages = [splitAt('|')]
    expect(await replay({ stages })).toMatchObject({ replayed: 4, loaded: 8, refused: 2 })
    const open = `select line::int, code, part from millrace.reject where replayed_at is null order by id`
    expect(await db.query(open)).toEqual([
      { line: 3, code: '23514', part: [0] },
      { line: 3, code: '23514', part: [2] },
    ])
    await db.query('alter table lines drop constraint lines_items_check')
    expect(await replay({ stages })).toMatchObject({ replayed: 2, loaded: 2, refused: 0 })
    expect(await lines()).toHaveLength(10)
  })

  test('through two stages that make rows loads exactly those that failed in either, or behind', async () => {
    const letters = (taken: string) =>
      flatMap((row: Row) => {
        const items = String(row['items'])
        if (items.includes('no') && taken !== 'all') throw new Error('not this one')
        return [...items].map((item) => ({ id: row['id']!, items: item }))
      })
    const few = validate({ items: { pattern: '[^y]' } })
    await loadLines([])
    await db.query('delete from lines; drop schema millrace cascade')
    const input = await dir.write('two.csv', 'id,items\n1,ab|no|cyd\n2,y|no|z\n')
    const options = { input, to: db.url, table: 'lines', job: JOB, maxErrors: 100 } as const
    await load({ ...options, stages: [splitAt('|'), letters('some'), few] })
    expect(await lines()).toEqual(['10', '12', '1a', '1b', '1c', '1d', '20', '22', '2z'])
    const all = [splitAt('|'), letters('all'), validate({ items: { pattern: '.' } })]
    expect(await replay({ stages: all })).toMatchObject({ replayed: 4, refused: 0 })
    const whole = ['10', '11', '12', '1a', '1b', '1c', '1d', '1n', '1o', '1y']
    expect(await lines()).toEqual([...whole, '20', '21', '22', '2n', '2o', '2y', '2z'])
  })
})

describe('stages in a replay', () => {
  const doubled = map((row: Row) => ({ ...row, n: Number(row['n']) * 2 }))

  async function loadStaged(): Promise<void> {
    await db.query('create table if not exists staged (id int, n int); truncate staged')
    const input = await dir.write('staged.csv', 'id,n\n1,1\n2,200\n3,3\n4,400\n5,x\n')
    const stages = [validate({ n: { max: 100 } }), doubled]
    await load({ input, to: db.url, table: 'staged', job: JOB, stages, maxErrors: '100%' })
  }

  test('must be given where the job had some, and may be others', async () => {
    await loadStaged()
    await expect(replay()).rejects.toMatchObject({ code: 'CHECKPOINT_OPTIONS_CHANGED' })
    const stages = [filter((row: Row) => Number(row['n']) < 300), doubled]
    const summary = await replay({ stages })
    expect(summary).toMatchObject({ replayed: 2, filtered: 1, loaded: 1, refused: 1 })
    expect(await db.query('select id, n from staged order by id')).toEqual([
      { id: 1, n: 2 },
      { id: 2, n: 400 },
      { id: 3, n: 6 },
    ])
    expect(await replay({ stages: [] })).toMatchObject({ replayed: 0, refused: 1 })
  })

  test('cannot be one that needs all rows before', async () => {
    await loadStaged()
    const replaying = replay({ stages: [dedupe('id')] })
    await expect(replaying).rejects.toMatchObject({ code: 'CONFIG_BAD_STAGE' })
    expect(await replay({ stages: [] })).toMatchObject({ replayed: 2, refused: 1 })
  })
})

describe('what is replayed', () => {
  test.each([
    ['CRLF and no header', 'crlf', '1,x\r\nz,y\r\n', { header: false }, '7,y'],
    [
      'another escape',
      'general',
      "a,b\n1,x\nz,'it\\'s'\n",
      { quote: "'", escape: '\\' },
      "7,'it\\'s'",
    ],
  ] as const)('is read as its input was: %s', async (_, table, text, dialect, mended) => {
    await db.query(`create table ${table} (a int, b text)`)
    const input = await dir.write(`${table}.csv`, text)
    await load({ input, to: db.url, table, job: JOB, dialect, maxErrors: '100%' })
    const [reject] = await db.query<{ id: string }>('select id from millrace.reject')
    const from = await dir.write(
      'one.ndjson',
      JSON.stringify({ id: Number(reject!.id), raw: mended }),
    )
    expect(await replay({ from })).toMatchObject({ replayed: 1, loaded: 1 })
    const b = table === 'crlf' ? 'y' : "it's"
    expect(await db.query(`select a, b from ${table} where a = 7`)).toEqual([{ a: 7, b }])
    await db.query(`drop table ${table}`)
  })

  test('stays rejected where the bytes given are no record, or more than one', async () => {
    const { good } = await loadMixed(400)
    const rejects = await db.query<{ id: string }>('select id from millrace.reject order by id')
    const raws = [
      '9001,1,1,A,AIR,2024-01-01,1,"open',
      '9001,1,1,A,AIR,2024-01-01,1,a\n9002,1,1,A,AIR,2024-01-01,1,b',
      '',
    ]
    const text = raws
      .map((raw, i) => JSON.stringify({ id: Number(rejects[i]!.id), raw }))
      .join('\n')
    const from = await dir.write('broken.ndjson', text)
    expect(await replay({ from })).toMatchObject({ replayed: 0, loaded: 0, refused: 3 })
    expect(await db.query('select message from millrace.reject where run = 2 order by id')).toEqual(
      [
        { message: 'has a quoted field without its closing quote' },
        { message: 'holds 2 records, expected one' },
        { message: 'has 1 field, expected 8' },
      ],
    )
    expect(await countMixed(db, JOB)).toMatchObject({ rows: good })
  })

  test.each([
    ['{"id":999999,"raw":"x"}', 'CONFIG_BAD_VALUE', /no reject of this job has id 999999/],
    ['{"id":1,"raw":"x"}\n{"id":1,"raw":"y"}', 'CONFIG_BAD_VALUE', /id 1 comes twice/],
    ['{"raw":"x"}', 'SOURCE_BAD_ROW', /line 1 has no id/],
    ['\n{"id":1}', 'SOURCE_BAD_ROW', /line 2 needs one of raw and raw_base64/],
    ['nothing', 'SOURCE_BAD_ROW', /line 1 has no id/],
  ])(
    'is refused before the first is loaded where the file is wrong: %s',
    async (text, code, message) => {
      await loadMixed(400)
      const from = await dir.write('wrong.ndjson', text)
      await expect(replay({ from })).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message) as string,
      })
      expect(await db.value(`select count(*)::int from millrace.reject where run <> 1`)).toBe(0)
    },
  )

  test('is forgotten by a restart, with the table that the job had made', async () => {
    const input = await dir.write('own.csv', `n\n${'1\n'.repeat(20)}x\n`)
    const options = {
      input,
      to: db.url,
      table: 'own',
      job: JOB,
      types: { n: 'int' },
      maxErrors: '50%',
    } as const
    await load(options)
    const [reject] = await db.query<{ id: string }>('select id from millrace.reject')
    const from = await dir.write('own.ndjson', JSON.stringify({ id: Number(reject!.id), raw: '2' }))
    expect(await replay({ from })).toMatchObject({ loaded: 1 })
    await load({ ...options, resume: 'restart' })
    expect(await db.value('select count(*)::int from own')).toBe(20)
    expect(await db.value('select count(*)::int from millrace.reject')).toBe(1)
    await db.query('drop table own')
  })

  test('goes over a pool, which has its connections back', async () => {
    const { good } = await loadMixed()
    await db.query(`insert into modes values ('ROCKET')`)
    const pool = new Pool({ connectionString: db.url, max: 2 })
    try {
      expect(await replay({ to: pool })).toMatchObject({ replayed: 2, loaded: 2 })
      expect(pool.totalCount - pool.idleCount).toBe(0)
    } finally {
      await pool.end()
    }
    expect(await countMixed(db, JOB)).toMatchObject({ rows: good + 2 })
  })

  test('has all of its bytes, a carriage return that is no line end too', async () => {
    await db.query('create table ended (a int, b text)')
    const input = await dir.write('ended.csv', 'a,b\n1,x\n2,y\r\n3,z\n')
    await load({ input, to: db.url, table: 'ended', job: JOB, maxErrors: '50%' })
    expect(await db.query('select raw from millrace.reject')).toEqual([
      { raw: Buffer.from('2,y\r') },
    ])
    expect(await replay()).toMatchObject({ replayed: 0, refused: 1 })
    await db.query('drop table ended')
  })

  test('may have been kept by the version before', async () => {
    const { good } = await loadMixed()
    await db.query(`alter table millrace.reject drop column part, drop column replayed_at, drop column replayed_by,
        drop column replayed_rows;
      alter table millrace.run drop column kind; update millrace.version set version = 4;
      insert into modes values ('ROCKET')`)
    expect(await status({ to: db.url })).toMatchObject([{ rows: good, rejects: 28, replayed: 0 }])
    expect(await replay()).toMatchObject({ replayed: 2, refused: 26 })
  })

  test('is of a job that is there', async () => {
    await loadMixed(400)
    await expect(replay({ job: 'another' })).rejects.toMatchObject({ code: 'CONFIG_BAD_VALUE' })
    expect(await db.value('select count(*)::int from millrace.job')).toBe(1)
  })
})
