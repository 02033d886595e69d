import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { derive, filter, flatMap, load, map, type Row, where } from '../../dist/index.js'
import { useDatabase } from '../helpers/database.ts'
import { noBackendLeft, runLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const fixture = fileURLToPath(new URL('../../fixtures/trips.csv', import.meta.url))

/** id, name, price of so many rows. */
function csvOf(rows: number): string {
  const lines = Array.from(
    { length: rows },
    (_, i) => `${String(i)},name ${String(i)},${(i / 8).toFixed(3)}\n`,
  )
  return `id,name,price\n${lines.join('')}`
}

describe('stages of the caller', () => {
  test('change what is loaded, and the counts add up in the summary and in the checkpoint', async () => {
    const input = await dir.write('a.csv', csvOf(10_000))
    const summary = await load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'a',
      chunkSize: 32 * 1024,
      lanes: 2,
      stages: [
        filter((row: Row) => Number(row['id']) % 10 !== 0),
        derive({ double: (row: Row) => Number(row['price']) * 2 }),
        flatMap((row: Row) => (Number(row['id']) % 1000 === 1 ? [row, row, row] : [row])),
      ],
    })
    expect(summary.rows).toEqual({
      read: 10_000,
      loaded: 9_020,
      filtered: 1_000,
      added: 20,
      rejected: 0,
      unchanged: 0,
    })
    expect(summary.stages).toMatchObject([
      { stage: 'filter', in: 10_000, out: 9_000, filtered: 1_000 },
      { stage: 'derive', in: 9_000, out: 9_000 },
      { stage: 'flatMap', in: 9_000, out: 9_020, added: 20 },
    ])
    const [counts] = await db.query(
      `select sum(read)::int as read, sum(loaded)::int as loaded, sum(filtered)::int as filtered,
              sum(added)::int as added, count(*) > 5 as many
         from millrace.claim c join millrace.job j on j.id = c.job where j.key like '%/a.csv -> public.a'`,
    )
    expect(counts).toEqual({ read: 10_000, loaded: 9_020, filtered: 1_000, added: 20, many: true })
    expect(
      await db.query(
        `select count(*)::int as rows, sum(double)::float8 as double, sum(price * 2)::float8 as price2,
                pg_typeof(min(double))::text as type from a`,
      ),
    ).toEqual([
      {
        rows: 9_020,
        double: 11_272_505,
        price2: 11_272_505,
        type: 'double precision',
      },
    ])
  })

  test('give a new table types that hold what they return', async () => {
    const input = await dir.write('types.csv', 'id,at\n1,2024-01-02\n2,\n')
    await load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'types',
      types: { exact: 'numeric(9,3)' },
      stages: [
        derive({
          number: () => 1,
          big: () => 9007199254740993n,
          flag: (row: Row) => row['id'] === 1,
          moment: () => new Date('2024-05-06T07:08:09.010Z'),
          bytes: () => Uint8Array.of(1, 2),
          list: () => [1, 'a', null],
          nothing: () => null,
          mixed: (row: Row) => (row['id'] === 1 ? 1 : 'two'),
          exact: () => 1.5,
          declared: { type: 'date', value: (row: Row) => row['at'] },
        }),
      ],
    })
    const columns = await db.query(
      `select attname || ' ' || format_type(atttypid, atttypmod) as c from pg_attribute
        where attrelid = 'types'::regclass and attnum > 0 order by attnum`,
    )
    expect(columns.map(({ c }) => c as string)).toEqual([
      'id integer',
      'at date',
      'number double precision',
      'big bigint',
      'flag boolean',
      'moment timestamp with time zone',
      'bytes bytea',
      'list jsonb',
      'nothing text',
      'mixed text',
      'exact numeric(9,3)',
      'declared date',
    ])
    const [row] = await db.query(
      `select moment at time zone 'UTC' = '2024-05-06 07:08:09.01' as moment, bytes::text, list::text, declared::text,
              big::text, exact::text, flag from types where id = 1`,
    )
    expect(row).toEqual({
      moment: true,
      bytes: '\\x0102',
      list: '[1, "a", null]',
      declared: '2024-01-02',
      big: '9007199254740993',
      exact: '1.500',
      flag: true,
    })
  })

  test('fill the columns of a table that is there, arrays among them', async () => {
    await db.query('create table there (tags text[], id int, doc json, born timestamp)')
    const input = await dir.write('there.csv', 'id\n1\n')
    await load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'there',
      stages: [
        derive({
          tags: () => ['a "b"', null, 'c\\d'],
          doc: () => ({ deep: [1, { a: 'ü' }] }),
          born: () => new Date(Date.UTC(2001, 1, 3, 4, 5, 6, 7)),
        }),
      ],
    })
    expect(await db.query('select tags, id, doc, born::text from there')).toEqual([
      {
        tags: ['a "b"', null, 'c\\d'],
        id: 1,
        doc: { deep: [1, { a: 'ü' }] },
        born: '2001-02-03 04:05:06.007',
      },
    ])
  })

  test('that fail on a row stop the load at its place, and what was committed stays', async () => {
    const input = await dir.write('fails.csv', csvOf(5_000))
    const failing = load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'fails',
      chunkSize: 16 * 1024,
      lanes: 1,
      stages: [
        map((row: Row) => {
          if (row['id'] === 4_321) throw new Error('a secret')
          return { ...row }
        }),
      ],
    })
    const error = (await failing.then(
      () => null,
      (thrown: unknown) => thrown,
    )) as Error & { where: object; code: string }
    expect(error).toMatchObject({
      name: 'StageError',
      code: 'STAGE_THREW',
      where: { source: input, record: 4_323, line: 4_323 },
    })
    expect(error.message).not.toContain('secret')
    expect((error.cause as Error).message).toBe('a secret')
    const [rows] = await db.query('select count(*)::int as n, max(id) as max from fails')
    expect(rows!['n']).toBeGreaterThan(1_000)
    expect(rows!['n']).toBe(Number(rows!['max']) + 1)
  })

  test('that give what no column can hold stop the load at its place', async () => {
    const input = await dir.write('promise.csv', csvOf(100))
    const slow = derive({
      name: (row: Row) => (row['id'] === 7 ? Promise.resolve('x') : 'y') as string,
    })
    await expect(
      load({ maxErrors: 0, input, to: db.url, table: 'promised', stages: [slow] }),
    ).rejects.toMatchObject({
      code: 'STAGE_VALUE',
      where: { record: 9, line: 9, column: 'name' },
    })
  })

  test('are refused by the server at the row they were made of', async () => {
    await db.query('create table checked (id int check (id <> 77), name text, price numeric)')
    const input = await dir.write('checked.csv', csvOf(5_000))
    const stages = [
      filter((row: Row) => Number(row['id']) % 2 === 0),
      derive({ id: (row: Row) => Number(row['id']) / 2 }),
    ]
    await expect(
      load({ maxErrors: 0, input, to: db.url, table: 'checked', stages, lanes: 1 }),
    ).rejects.toMatchObject({
      code: 'TARGET_ROW_REFUSED',
      where: { record: 156, line: 156 },
    })
  })

  test('belong to the job: others are refused, the same go on', async () => {
    const input = await dir.write('job.csv', csvOf(1_000))
    const even = filter((row: Row) => Number(row['id']) % 2 === 0)
    const options = { input, to: db.url, table: 'job' }
    await load({ maxErrors: 0, ...options, stages: [even] })
    expect(await load({ maxErrors: 0, ...options, stages: [even] })).toMatchObject({
      status: 'already-complete',
    })
    const odd = filter((row: Row) => Number(row['id']) % 2 === 1)
    for (const stages of [[odd], [], [even, even], [where('id > 5')]]) {
      await expect(load({ maxErrors: 0, ...options, stages })).rejects.toMatchObject({
        code: 'CHECKPOINT_OPTIONS_CHANGED',
        message: expect.stringContaining('stage') as string,
      })
    }
  })

  test('see the same types when a job is gone on with', async () => {
    const input = await dir.write('again.csv', csvOf(3_000))
    let seen = new Set<string>()
    let most = 1_500
    const drop = map(
      (row: Row) => {
        seen.add(typeof row['id'])
        if (Number(row['id']) > most) throw new Error('not yet')
        return { name: row['name']! }
      },
      { columns: ['name'] },
    )
    const options = {
      input,
      to: db.url,
      table: 'again',
      chunkSize: 8_192,
      lanes: 1,
      maxErrors: 0,
      stages: [drop],
    }
    await expect(load(options)).rejects.toMatchObject({ code: 'STAGE_THREW' })
    expect(seen).toEqual(new Set(['number']))
    seen = new Set()
    most = Infinity
    const summary = await load(options)
    expect(summary.resumed.rows).toBeGreaterThan(100)
    expect(seen).toEqual(new Set(['number']))
    expect(await db.query('select count(distinct name)::int as n from again')).toEqual([
      { n: 3_000 },
    ])
  })

  test('leave an open and a closed stage behind, also when they fail', async () => {
    const calls: string[] = []
    const watched = (fail: boolean) => ({
      name: 'watched',
      identity: 'watched',
      wire: null,
      bind: (columns: Parameters<ReturnType<typeof filter>['bind']>[0]) => ({
        columns,
        open: () => Promise.resolve(void calls.push('open')),
        apply: (chunk: never) => {
          calls.push('apply')
          if (fail) throw new Error('broken')
          return chunk
        },
        close: () => Promise.resolve(void calls.push('close')),
      }),
    })
    const input = await dir.write('watched.csv', 'id\n1\n')
    await db.query('create table watched (id int)')
    await expect(
      load({
        maxErrors: 0,
        input,
        to: db.url,
        table: 'watched',
        lanes: 1,
        stages: [watched(true)],
      }),
    ).rejects.toMatchObject({ code: 'STAGE_THREW', cause: { message: 'broken' } })
    await load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'watched',
      lanes: 1,
      stages: [watched(false)],
    })
    // Opened once to try them, before the job is noted, and once by the lane.
    const run = ['open', 'close', 'open', 'apply', 'close']
    expect(calls).toEqual([...run, 'open', 'apply', 'close'])
  })
})

describe('a load with stages of the caller that is stopped while the server does not answer', () => {
  test('settles, and goes on with nothing behind its back', { timeout: 40_000 }, async () => {
    await db.query('create table locked (id int, name text, price numeric)')
    const input = await dir.write('locked.csv', csvOf(1_000))
    const stop = new AbortController()
    const warnings: string[] = []
    const quiet = { debug: () => 0, info: () => 0, error: () => 0 }
    const blocker = new Client({ connectionString: db.url })
    await blocker.connect()
    try {
      await blocker.query('begin; lock table locked in access exclusive mode')
      const loading = load({
        maxErrors: 0,
        ...{ input, to: db.url, table: 'locked', lanes: 1, signal: stop.signal },
        stages: [filter(() => true)],
        log: { ...quiet, warn: (_, message) => warnings.push(message) },
      })
      const settled = loading.then(
        () => null,
        (error: unknown) => error,
      )
      const waits =
        "select from pg_stat_activity where datname = current_database() and query ~ 'copy' and wait_event_type = 'Lock'"
      await until('the copy waits', async () => (await db.query(waits)).length > 0)
      stop.abort()
      expect(await settled).toMatchObject({ code: 'RUN_ABORTED' })
    } finally {
      await blocker.end()
    }
    await noBackendLeft(db)
    await sleep(500)
    await noBackendLeft(db)
    expect(warnings).toEqual([])
    expect(await db.query('select count(*)::int as n from locked')).toEqual([{ n: 0 }])
  })
})

describe('a checkpoint of the version before', () => {
  test('is upgraded, and its jobs go on', async () => {
    const input = await dir.write('old.csv', csvOf(100))
    const options = { input, to: db.url, table: 'old', stateSchema: 'old_state' }
    await load(options)
    await db.query(
      'alter table old_state.claim drop column added, drop column facts; drop table old_state.reject; alter table old_state.run drop column kind; update old_state.version set version = 1',
    )
    expect(await load(options)).toMatchObject({ status: 'already-complete' })
    expect(await db.query('select version from old_state.version')).toEqual([{ version: 6 }])
    expect(await db.query('select added::int from old_state.claim')).toEqual([{ added: 0 }])
  })
})

describe('stages of a module', () => {
  test('run in every lane, TypeScript as it is, with modules of their own', async () => {
    await dir.write('tariff.ts', 'export const factor: number = 3\n')
    const module = await dir.write(
      'stages.ts',
      `import { derive, filter } from 'millrace'
       import { factor } from './tariff.ts'
       interface In { readonly id: number; readonly price: string }
       export default Promise.resolve([
         filter((row: In) => row.id % 2 === 0),
         derive({ price: (row: In) => Number(row.price) * factor }),
       ])`,
    )
    const input = await dir.write('module.csv', csvOf(4_000))
    const { code, report } = await runLoad(db, [input, '--table', 'module', '--stage', module])
    expect(code).toBe(0)
    expect(report.rows).toMatchObject({ read: 4_000, loaded: 2_000, filtered: 2_000 })
    expect(
      await db.query('select sum(price)::float8 as sum, count(*)::int as n from module'),
    ).toEqual([{ sum: (3 * (3_998 * 2_000)) / 2 / 8, n: 2_000 }])
  })

  test('may await, import lazily, and ask where they are', async () => {
    await dir.write('later.ts', 'export const least: number = 5\n')
    const module = await dir.write(
      'awaits.ts',
      `import { filter } from 'millrace'
       const { least } = await import('./later.ts')
       const here: string = import.meta.url
       export default filter((row: { id: number }) => row.id >= least && here.endsWith('awaits.ts'))`,
    )
    const input = await dir.write('awaits.csv', csvOf(10))
    const { code, report } = await runLoad(db, [input, '--table', 'awaits', '--stage', module])
    expect(code).toBe(0)
    expect(report.rows).toMatchObject({ read: 10, loaded: 5 })
  })

  test.each(['edited.ts', 'limit.ts'])('are part of the job by their text: %s', async (edited) => {
    await dir.write('limit.ts', 'export const limit = 5\n')
    const module = await dir.write(
      'edited.ts',
      "import { where } from 'millrace'\nimport { limit } from './limit'\nexport default where(`id > ${limit + 5 - 5}`)\n",
    )
    const input = await dir.write('edited.csv', csvOf(10))
    const args = ['--table', edited.replace('.ts', '_edited'), '--stage', module]
    expect((await runLoad(db, [input, ...args])).code).toBe(0)
    const text = await readFile(dir.path(edited), 'utf8')
    await dir.write(edited, text.replaceAll('5', '6'))
    const again = await runLoad(db, [input, ...args])
    expect(again.code).toBe(4)
    expect(again.report.error).toMatchObject({ code: 'CHECKPOINT_OPTIONS_CHANGED' })
  })

  test.each([
    ['missing.ts', null, 'cannot be loaded'],
    ['broken.ts', 'export default {', 'cannot be loaded'],
    ['throws.ts', "throw new Error('at once')", 'at once'],
    ['empty.ts', 'export const x = 1', 'no stage'],
    ['number.ts', 'export default 5', 'no stage'],
  ])('are refused when they are none: %s', async (name, text, message) => {
    const path = text === null ? dir.path(name) : await dir.write(name, text)
    const { code, report } = await runLoad(db, [fixture, '--table', 'none', '--stage', path])
    expect(code).toBe(2)
    expect(report.error).toMatchObject({
      code: 'CONFIG_BAD_STAGE',
      message: expect.stringContaining(message) as string,
    })
  })

  test('name their own line when a function throws', async () => {
    const module = await dir.write(
      'line.ts',
      "import { filter } from 'millrace'\n\nexport default filter((row: { note: string }) => {\n  return row.note.trim() !== ''\n})\n",
    )
    const { code, report } = await runLoad(db, [fixture, '--table', 'line', '--stage', module])
    expect(code).toBe(1)
    expect(report.error).toMatchObject({
      code: 'STAGE_THREW',
      message: expect.stringMatching(
        /stage filter \(columns it reads: note\): its function threw TypeError at line\.ts:4:\d+/,
      ) as string,
    })
  })
})

describe('the short forms of the command line', () => {
  test('filter, choose and rename, in this order', async () => {
    const { code, report } = await runLoad(db, [
      fixture,
      ...['--table', 'short', '--where', 'minutes >= 30', '--where', 'fare is not null'],
      ...['--select', 'trip_id,fare', '--rename', 'fare=price'],
    ])
    expect(code).toBe(0)
    const all = await db.query(
      'select count(*)::int as n from short where price is null or trip_id is null',
    )
    expect(all).toEqual([{ n: 0 }])
    expect(report.rows.read).toBe(5_000)
    expect(report.rows.loaded).toBeLessThan(5_000)
    expect(report.rows.loaded + report.rows.filtered).toBe(5_000)
  })

  test('load chosen columns without an index of the others', async () => {
    const { report } = await runLoad(db, [fixture, '--table', 'chosen', '--select', 'trip_id,note'])
    expect(report.rows.loaded).toBe(5_000)
    expect(
      await db.query('select count(*)::int as n from chosen where note is not null'),
    ).not.toEqual([{ n: 0 }])
  })
})

describe('a stream with stages', () => {
  test('widens columns that its first bytes have made too narrow', async () => {
    const lines = Array.from(
      { length: 300_000 },
      (_, i) => `${String(i)},${'x'.repeat(60)}\n`,
    ).join('')
    const { code, report } = await runLoad(
      db,
      ['-', '--table', 'wide', '--where', 'id != 3', '--job', 'wide'],
      {
        input: `id,pad\n${lines}late,y\n`,
      },
    )
    expect(report.error).toBeUndefined()
    expect(code).toBe(0)
    expect(
      await db.query('select count(*)::int as n, pg_typeof(min(id))::text as type from wide'),
    ).toEqual([{ n: 300_000, type: 'text' }])
  })
})
