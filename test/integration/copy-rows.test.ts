import { setTimeout as sleep } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyRows } from '../../src/index.ts'
import { useDatabase } from '../helpers/database.ts'
import { until } from '../helpers/loads.ts'

const db = useDatabase()
let pool: Pool

beforeAll(async () => {
  pool = new Pool({ connectionString: db.url, max: 2 })
  pool.on('error', () => undefined) // end() does not wait for its connections, which the end of the database may cut
  await db.query(`create table thing (
    id int primary key, name text, price numeric(12,2), at timestamptz, tags text[], info jsonb,
    raw bytea, ok boolean, big int8, half real, day date, double_id int generated always as (id * 2) stored)`)
})

afterAll(() => pool.end())

const count = async (): Promise<number> => Number(await db.value('select count(*) from thing'))
const empty = (): Promise<unknown> => db.query('truncate thing')

function* things(n: number, from = 1): Generator<{ id: number; name: string; price: string }> {
  for (let id = from; id < from + n; id++) yield { id, name: `thing ${String(id)}`, price: '1.50' }
}

describe('copyRows', () => {
  test('stores values of every kind as PostgreSQL reads them', async () => {
    await empty()
    const row = {
      id: 1,
      name: 'tab\t, newline\n, backslash \\, and \u{1f600}',
      price: '12.340',
      at: new Date('2024-02-29T12:34:56.789Z'),
      tags: ['a', null, 'c"d'],
      info: { nested: [1, 'x'] },
      raw: Buffer.from([0, 255]),
      ok: true,
      big: 9007199254740993n,
      half: 0.1,
      day: '2024-02-29',
    }
    const bare = { id: 2, name: undefined, price: null }
    const target = { to: db.url, table: 'thing' }
    expect(await copyRows(target, [row, bare])).toEqual({ rows: 2 })
    const [one, two] = await db.query(
      `select name, price::text, at = '2024-02-29 12:34:56.789+00' as at, tags::text, info::text, raw::text,
              ok, big::text, half::text, day::text, double_id from thing order by id`,
    )
    expect(one).toEqual({
      name: row.name,
      price: '12.34',
      at: true,
      tags: '{a,NULL,"c\\"d"}',
      info: '{"nested": [1, "x"]}',
      raw: '\\x00ff',
      ok: true,
      big: '9007199254740993',
      half: '0.1',
      day: '2024-02-29',
      double_id: 2,
    })
    expect(two).toMatchObject({ name: null, price: null, at: null, double_id: 4 })
  })

  test('takes iterables of every kind, many rows, over a URL, a pool and a client', async () => {
    await empty()
    const client = new Client({ connectionString: db.url })
    await client.connect()
    async function* slow() {
      for (const thing of things(3_000, 200_000)) {
        if (thing.id % 1_000 === 0) await sleep(5)
        yield thing
      }
    }
    try {
      await copyRows({ to: db.url, table: 'public.thing' }, things(100_000))
      await copyRows({ to: pool, table: 'thing' }, slow())
      await copyRows({ to: client, table: 'THING' }, Readable.from(things(3_000, 300_000))).catch(
        (error: unknown) => expect(error).toMatchObject({ code: 'TARGET_NO_TABLE' }),
      )
      await copyRows({ to: client, table: 'thing' }, Readable.from(things(3_000, 300_000)))
      expect(await copyRows({ to: client, table: 'thing' }, [])).toEqual({ rows: 0 })
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    } finally {
      await client.end()
    }
    expect(await count()).toBe(106_000)
    expect(await db.value('select count(distinct id) from thing')).toBe('106000')
    expect(pool.idleCount).toBe(1)
  })

  test('goes on in binary after rows that the server had to read as text', async () => {
    await empty()
    function* odd() {
      for (const thing of things(150_000)) {
        yield thing.id % 50_000 === 10 ? { ...thing, price: ' 1e2 ' } : thing
      }
    }
    await copyRows({ to: db.url, table: 'thing' }, odd())
    expect(await db.query('select price::text, count(*)::int from thing group by 1')).toEqual(
      expect.arrayContaining([
        { price: '1.50', count: 149_997 },
        { price: '100.00', count: 3 },
      ]),
    )
  })

  test('is part of a transaction of the caller, and a failure undoes it alone', async () => {
    await empty()
    const client = await pool.connect()
    const target = { to: client, table: 'thing' }
    try {
      await client.query('begin')
      await copyRows(target, things(10))
      await expect(copyRows(target, things(10, 5))).rejects.toMatchObject({
        code: 'TARGET_ROW_REFUSED',
        server: { sqlstate: '23505' },
      })
      await copyRows(target, things(10, 100))
      expect(await count()).toBe(0)
      await client.query('commit')
      expect(await count()).toBe(20)
    } finally {
      client.release()
    }
  })

  test.each([
    ['a value that the type refuses', { id: 70_000, name: 'x', price: 'much' }, 70_000, 'price'],
    ['a value that is too large', { id: 70_000, price: 1e12 }, 70_000, undefined],
  ])('names the row for %s, and leaves nothing', async (_, bad, record, column) => {
    await empty()
    function* some() {
      for (const thing of things(90_000)) yield thing.id === record ? bad : thing
    }
    await expect(copyRows({ to: pool, table: 'thing' }, some())).rejects.toMatchObject({
      code: 'TARGET_ROW_REFUSED',
      message: expect.not.stringContaining('much') as string,
      where: { record, ...(column === undefined ? {} : { column }) },
    })
    expect(await count()).toBe(0)
  })

  test.each([
    ['no object', [{ id: 1 }, 5], 'SOURCE_BAD_ROW', 2],
    ['a key that the first row has not', [{ id: 1 }, { id: 2, nam: 'x' }], 'SOURCE_BAD_ROW', 2],
    ['a value of no kind', [{ id: 1, name: Symbol('x') }], 'SOURCE_BAD_ROW', 1],
    [
      'half a surrogate',
      [
        { id: 1, name: 'x' },
        { id: 2, name: '\ud800' },
      ],
      'SOURCE_BAD_ROW',
      2,
    ],
    ['a key that is no column', [{ id: 1, nam: 'x' }], 'CONFIG_UNKNOWN_COLUMN', undefined],
    ['no key for a column that must be there', [{ name: 'x' }], 'CONFIG_MISSING_COLUMN', undefined],
  ])('refuses %s', async (_, rows, code, record) => {
    await empty()
    await expect(
      copyRows({ to: pool, table: 'thing' }, rows as Iterable<object>),
    ).rejects.toMatchObject({ code, ...(record === undefined ? {} : { where: { record } }) })
    expect(await count()).toBe(0)
  })

  test('needs a key for some column, also where none must be there', async () => {
    await db.query('create table loose (a int)')
    await expect(copyRows({ to: pool, table: 'loose' }, [{}])).rejects.toMatchObject({
      code: 'CONFIG_MISSING_COLUMN',
      message: 'there is nothing to put into public.loose',
    })
  })

  test('counts rows that a trigger leaves out, where it names one', async () => {
    await db.query(`create table odd (id int);
      create function only_odd() returns trigger language plpgsql as
        $$ begin if new.id % 2 = 0 then return null; end if; return new; end $$;
      create trigger only_odd before insert on odd for each row execute function only_odd()`)
    function* numbers() {
      for (let id = 1; id <= 120_000; id++) yield { id: id === 110_001 ? 'x' : id }
    }
    await expect(copyRows({ to: pool, table: 'odd' }, numbers())).rejects.toMatchObject({
      where: { record: 110_001 },
    })
  })

  test('destroys a stream of rows that it no longer waits for', async () => {
    const stuck = new Readable({ objectMode: true, read: () => undefined })
    stuck.push({ id: 1 })
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 50)
    const { signal } = stop
    await expect(copyRows({ to: pool, table: 'thing' }, stuck, { signal })).rejects.toMatchObject({
      code: 'RUN_ABORTED',
    })
    expect(stuck.destroyed).toBe(true)
  })

  test('refuses a client that copies other rows: one transaction would hold both', async () => {
    await empty()
    const client = await pool.connect()
    const target = { to: client, table: 'thing' }
    try {
      const first = copyRows(target, things(30_000))
      await expect(copyRows(target, things(10, 50_000))).rejects.toMatchObject({
        code: 'CONFIG_USAGE',
      })
      await first
      await copyRows(target, things(10, 50_000))
    } finally {
      client.release()
    }
    expect(await count()).toBe(30_010)
  })

  test('takes the keys that are named, and no others', async () => {
    await empty()
    const rows = [
      { id: 1, extra: 'x' },
      { id: 2, name: 'b' },
    ]
    await copyRows({ to: pool, table: 'thing' }, rows, { columns: ['name', 'id'] })
    expect(await db.query('select id, name from thing order by id')).toEqual([
      { id: 1, name: null },
      { id: 2, name: 'b' },
    ])
  })

  test('throws what the iterable throws, and ends it when something else fails', async () => {
    await empty()
    const mine = Object.assign(new Error('mine'), { code: 'ECONNRESET' })
    async function* throwing() {
      yield* things(5_000)
      await sleep(1)
      throw mine
    }
    await expect(copyRows({ to: pool, table: 'thing' }, throwing())).rejects.toBe(mine)
    let ended = false
    function* closing() {
      try {
        yield* things(10)
        yield* things(10_000_000, 10)
      } finally {
        ended = true
      }
    }
    await expect(copyRows({ to: pool, table: 'thing' }, closing())).rejects.toMatchObject({
      code: 'TARGET_ROW_REFUSED',
    })
    expect(ended).toBe(true)
    expect(await count()).toBe(0)
  })

  test('notices that the server has refused a row while it waits for the next', async () => {
    await empty()
    async function* stuck() {
      yield* things(20_000)
      yield { id: 1 }
      yield* things(20_000, 30_000)
      await new Promise(() => undefined)
    }
    await expect(copyRows({ to: pool, table: 'thing' }, stuck())).rejects.toMatchObject({
      where: { record: 20_001 },
    })
    expect(await count()).toBe(0)
  })

  test.each([
    ['before anything is sent', 100],
    ['in COPY', 20_000],
  ])('notices a lost connection while it waits for the next row: %s', async (_, rows) => {
    await empty()
    async function* forever() {
      yield* things(rows)
      await new Promise(() => undefined)
    }
    const lost = { code: 'TARGET_CONNECTION_LOST' }
    const target = { to: db.url, table: 'thing' }
    const copied = expect(copyRows(target, forever())).rejects.toMatchObject(lost)
    const sql = `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'millrace rows' and datname = current_database()
        and query like '${rows < 1_000 ? 'begin' : 'copy'}%'`
    await until('it is cut off', async () => (await db.query(sql)).length > 0)
    await copied
    expect(await count()).toBe(0)
  })

  test.each(['stuck', 'endless'])('stops when asked to: %s', async (kind) => {
    await empty()
    const stop = new AbortController()
    async function* stuck() {
      yield* things(3_000)
      setTimeout(() => stop.abort(), 20)
      await new Promise(() => undefined)
    }
    function* endless() {
      setTimeout(() => stop.abort(), 50)
      yield* things(Infinity)
    }
    const rows = kind === 'stuck' ? stuck() : endless()
    const { signal } = stop
    await expect(copyRows({ to: pool, table: 'thing' }, rows, { signal })).rejects.toMatchObject({
      code: 'RUN_ABORTED',
    })
    expect(await count()).toBe(0)
    await expect(
      copyRows({ to: pool, table: 'thing' }, things(1), { signal }),
    ).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('takes longer than what a client gives a query, and leaves no timer', async () => {
    await empty()
    const hasty = new Pool({ connectionString: db.url, max: 1, query_timeout: 300 })
    async function* slow() {
      yield* things(20_000)
      await sleep(600)
      yield* things(1, 30_000)
    }
    try {
      expect(await copyRows({ to: hasty, table: 'thing' }, slow())).toEqual({ rows: 20_001 })
      expect((await hasty.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    } finally {
      await hasty.end()
    }
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length
    const before = timers()
    const patient = new Pool({ connectionString: db.url, max: 1, query_timeout: 60_000 })
    await copyRows({ to: patient, table: 'thing' }, things(1, 40_000))
    await patient.end()
    expect(timers()).toBe(before)
  })

  test('refuses a client that is not connected', async () => {
    const client = new Client({ connectionString: db.url })
    await expect(copyRows({ to: client, table: 'thing' }, things(1))).rejects.toMatchObject({
      code: 'CONFIG_USAGE',
    })
    await client.connect()
    await client.end()
    await expect(copyRows({ to: client, table: 'thing' }, things(1))).rejects.toThrow('closed')
  })

  test('does not say that rows are in that another use of its client has undone', async () => {
    await empty()
    const client = new Client({ connectionString: db.url })
    await client.connect()
    async function* slow() {
      yield* things(20_000)
      void client.query('select 1 / 0').catch(() => undefined)
      await sleep(50)
    }
    try {
      await expect(copyRows({ to: client, table: 'thing' }, slow())).rejects.toMatchObject({
        code: 'TARGET_REFUSED',
      })
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    } finally {
      await client.end()
    }
    expect(await count()).toBe(0)
  })

  test('says that a pool lends nothing', { timeout: 20_000 }, async () => {
    const lent = await Promise.all([pool.connect(), pool.connect()])
    try {
      await expect(copyRows({ to: pool, table: 'thing' }, things(1))).rejects.toMatchObject({
        code: 'TARGET_UNREACHABLE',
        hint: expect.stringContaining('max') as string,
      })
    } finally {
      for (const client of lent) client.release()
    }
    expect(await count()).toBe(0)
  })
})
