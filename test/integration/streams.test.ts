import { setTimeout as sleep } from 'node:timers/promises'
import { Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Pool } from 'pg'
import chain from 'stream-chain'
import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  csv,
  dedupe,
  derive,
  enrich,
  filter,
  flatMap,
  fromRows,
  load,
  quality,
  type Row,
  type RowOfInput,
  select,
  type StageStream,
  type StreamChunk,
  tableWriter,
  through,
  where,
} from '../../src/index.ts'
import { useDatabase } from '../helpers/database.ts'
import { backends } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

const lines = (from: number, to: number): string =>
  Array.from(
    { length: to - from },
    (_, i) => `${String(from + i)},n${String(from + i)},1.5\n`,
  ).join('')
const csvOf = (rows: number): string => `id,note,price\n${lines(0, rows)}`
const types = { id: 'int8', price: 'numeric' } as const

async function lastRun(): Promise<unknown> {
  const [run] = await db.query('select status, error from millrace.run order by id desc limit 1')
  return run
}

async function closed(stream: Writable): Promise<void> {
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
}

const cutOff = (): Promise<unknown> =>
  db.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'millrace lane%'`,
  )

/** Fails a pipeline when so many chunks have passed. */
async function* failAfter(count: number, chunks: AsyncIterable<StreamChunk>) {
  let passed = 0
  for await (const chunk of chunks) {
    if (passed++ === count) throw new Error('enough')
    yield chunk
  }
}

/** Bytes that buffers take. */
function bufferBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().arrayBuffers
}

describe('a stream of chunks', () => {
  test('has typed rows, with their places, and closes its file', async () => {
    const trips = csv(await dir.write('typed.csv', csvOf(5_000)), { types })
    expectTypeOf<RowOfInput<typeof trips>['id']>().toEqualTypeOf<bigint | null>()
    expectTypeOf<RowOfInput<typeof trips>['price']>().toEqualTypeOf<string | null>()
    let sum = 0n
    let rows = 0
    for await (const chunk of trips.chunks() as AsyncIterable<
      StreamChunk<RowOfInput<typeof trips>>
    >) {
      expect(chunk.columns.map(({ name, type }) => `${name} ${type!}`)).toEqual([
        'id int8',
        'note text',
        'price numeric',
      ])
      expect(chunk.where(0)).toMatchObject({ record: rows + 2, line: rows + 2 })
      for (const row of chunk.rows()) sum += row.id!
      rows += chunk.rowCount
    }
    expect([rows, sum]).toEqual([5_000, (4_999n * 5_000n) / 2n])
    await expect(csv(dir.path('none.csv')).chunks().toArray()).rejects.toMatchObject({
      code: 'SOURCE_NOT_FOUND',
    })
  })

  test('comes from a Readable of whatever bytes, and of nothing else', async () => {
    const rows = async (input: Readable): Promise<number[]> => {
      const chunks = (await csv(input).chunks().toArray()) as StreamChunk[]
      return chunks.map(({ rowCount }) => rowCount)
    }
    expect(await rows(Readable.from([new TextEncoder().encode('id\n1\n'), '2\n']))).toEqual([2])
    expect(await rows(Readable.from([]))).toEqual([])
    const unreadable = { code: 'SOURCE_UNREADABLE' }
    await expect(rows(Readable.from([{ id: 1 }]))).rejects.toMatchObject(unreadable)
    const once = Readable.from(['id\n1\n'])
    expect(await rows(once)).toEqual([1])
    await expect(rows(once)).rejects.toMatchObject(unreadable)
  })

  test('that goes on in a Readable does not keep what is before', async () => {
    const piece = Buffer.from(`${'x'.repeat(63)}\n`.repeat(1024))
    const before = bufferBytes()
    let held = 0
    async function* pieces() {
      yield 'id\n'
      for (let i = 0; i < 4_000; i++) {
        if (i === 3_980) held = bufferBytes() - before
        yield Buffer.from(piece)
      }
    }
    const position = { byte: 3 + 3_990 * piece.length, record: 2, line: 2 }
    const chunks = csv(Readable.from(pieces())).chunks(position) as AsyncIterable<StreamChunk>
    let rows = 0
    for await (const chunk of chunks) rows += chunk.rowCount
    expect(rows).toBe(10 * 1024)
    expect(held).toBeLessThan(128 << 20)
  })

  test('refuses types of columns that are not there', async () => {
    const path = await dir.write('typo.csv', csvOf(1))
    const chunks = csv(path, { types: { idd: 'int8' } }).chunks()
    await expect(chunks.toArray()).rejects.toMatchObject({
      code: 'CONFIG_UNKNOWN_COLUMN',
      hint: 'its columns are "id", "note", "price"',
    })
  })

  test('that is complete is refused when its rows are gone, and when a chunk is missing', async () => {
    const path = await dir.write('gone.csv', csvOf(10_000))
    const options = { to: db.url, table: 'gone', job: 'gone' }
    const holed = async function* (chunks: AsyncIterable<StreamChunk>) {
      let n = 0
      for await (const chunk of chunks) if (n++ !== 1) yield chunk
    }
    const first = await tableWriter(options)
    await expect(pipeline(csv(path).chunks(), holed, first)).rejects.toMatchObject({
      code: 'CONFIG_USAGE',
    })
    const writer = await tableWriter(options)
    await pipeline(csv(path).chunks(writer.position), writer)
    await db.query('truncate gone')
    await expect(tableWriter(options)).rejects.toMatchObject({ code: 'CHECKPOINT_TARGET_CHANGED' })
    await db.query('drop table gone')
    await expect(tableWriter(options)).rejects.toMatchObject({ code: 'CHECKPOINT_TARGET_CHANGED' })
    expect(await lastRun()).toEqual({ status: 'failed', error: 'CHECKPOINT_TARGET_CHANGED' })
  })

  test('goes through stages, composed by stream-chain, into a table', async () => {
    const trips = csv(await dir.write('staged.csv', csvOf(20_000)), { types })
    const keep = through(filter((row: { id: bigint }) => row.id % 2n === 0n))
    const stages = chain([
      keep,
      through(
        derive({
          double: { type: 'numeric', value: (row: { price: string }) => 2 * Number(row.price) },
        }),
      ),
      through(
        flatMap((row: Row) => (row['note'] === 'n4' ? [{ ...row }, { ...row }] : [{ ...row }])),
      ),
      through(select(['id', 'double'])),
    ])
    const writer = await tableWriter({ to: db.url, table: 'staged', job: 'staged' })
    expect(writer.position).toBeNull()
    await pipeline(trips.chunks(), stages, writer)
    expect(writer.rows).toBe(10_001)
    expect(keep.stats).toMatchObject({ in: 20_000, out: 10_000, filtered: 10_000 })
    expect(
      await db.query('select count(*)::int, sum(id)::int, sum(double)::text as double from staged'),
    ).toEqual([{ count: 10_001, sum: 99_990_004, double: '30003' }])
    expect(
      await db.query(
        "select sum(read)::int as read, sum(loaded)::int as loaded, sum(added)::int as added from millrace.claim join millrace.job on job.id = claim.job where key = 'staged'",
      ),
    ).toEqual([{ read: 20_000, loaded: 10_001, added: 1 }])
    expect(await backends(db)).toEqual([])
    expect(await lastRun()).toEqual({ status: 'complete', error: null })
  })

  test('stores what load() stores', async () => {
    const text = `a,b,c\n1,"x ""y""\nz",2.50\n,,""\n 3,é,1e2\n`
    const input = await dir.write('same.csv', text)
    const to = db.url
    await db.query('create table s1 (a int, b text, c text)')
    await db.query('create table s2 (like s1)')
    await load({ input: csv(input), to, table: 's1', stages: [filter(() => true)] })
    const writer = await tableWriter({ to, table: 's2', job: 's2' })
    await pipeline(csv(input).chunks(), writer)
    expect(await db.query('select * from s2')).toEqual(await db.query('select * from s1'))
  })

  test('goes on from where it was, whatever ended it', async () => {
    const path = await dir.write('again.csv', `id,note,price\n${lines(0, 900_000)}`)
    const options = { to: db.url, table: 'again', job: 'again', types }
    const failed = await tableWriter(options)
    const broken = pipeline(
      csv(path).chunks(),
      (chunks) => failAfter(300, chunks as AsyncIterable<StreamChunk>),
      failed,
    )
    await expect(broken).rejects.toThrow('enough')
    const committed = Number(await db.value('select count(*) from again'))
    expect(committed).toBeGreaterThan(0)
    expect(committed).toBeLessThan(900_000)
    expect(failed.position?.record).toBe(committed + 2)
    const writer = await tableWriter(options)
    expect(writer.position).toEqual(failed.position)
    await pipeline(csv(path).chunks(writer.position), writer)
    expect(writer.rows).toBe(900_000 - committed)
    expect(await db.value('select count(distinct id) from again')).toBe('900000')
    const nothing = await tableWriter(options)
    await pipeline(csv(path).chunks(nothing.position), nothing)
    expect(nothing.rows).toBe(0)
    expect(await db.value('select count(*) from again')).toBe('900000')
  })

  test('fails when its connection is lost, and the next one adds the rest', async () => {
    const path = await dir.write('lost.csv', `id,note,price\n${lines(0, 600_000)}`)
    const options = { to: db.url, table: 'lost', job: 'lost', types }
    const writer = await tableWriter(options)
    let cuts = 0
    const cut = (): StageStream =>
      through(
        filter((row: { id: string }) => {
          if (row.id === '500000' && cuts++ === 0) void cutOff()
          return true
        }),
      )
    const slow = async function* (chunks: AsyncIterable<StreamChunk>) {
      for await (const chunk of chunks) {
        if (chunk.range.end > 8 << 20) await sleep(5)
        yield chunk
      }
    }
    const run = pipeline(csv(path).chunks(), cut(), slow, writer)
    await expect(run).rejects.toMatchObject({ code: 'TARGET_CONNECTION_LOST', retryable: true })
    await closed(writer)
    expect(await lastRun()).toEqual({ status: 'failed', error: 'TARGET_CONNECTION_LOST' })
    const last = await tableWriter(options)
    await pipeline(csv(path).chunks(last.position), cut(), last)
    expect(
      await db.query('select count(*)::int, count(distinct id)::int as ids from lost'),
    ).toEqual([{ count: 600_000, ids: 600_000 }])
  })

  test('refuses another file, other stages and another dialect', async () => {
    const path = await dir.write('refused.csv', csvOf(10))
    const options = { to: db.url, table: 'refused', job: 'refused' }
    const first = await tableWriter(options)
    await pipeline(csv(path).chunks(), first)
    await dir.write('refused.csv', csvOf(12))
    const code = (code: string) => expect.objectContaining({ code }) as Error
    const run = async (...streams: NodeJS.ReadWriteStream[]): Promise<void> => {
      const writer = await tableWriter(options)
      await pipeline([csv(path).chunks(writer.position), ...streams, writer])
    }
    await expect(run()).rejects.toEqual(code('CHECKPOINT_INPUT_CHANGED'))
    await expect(run(through(where('id > 1')))).rejects.toEqual(code('CHECKPOINT_OPTIONS_CHANGED'))
    const typed = await tableWriter(options)
    await expect(pipeline(csv(path, { types }).chunks(typed.position), typed)).rejects.toEqual(
      code('CHECKPOINT_OPTIONS_CHANGED'),
    )
    expect(await db.value('select count(*) from refused')).toBe('10')
    const writer = await tableWriter({ ...options, resume: 'restart' })
    await pipeline(csv(path).chunks(), writer)
    expect(await db.value('select count(*) from refused')).toBe('22')
  })

  test('refuses an input that ends before where it is to go on', async () => {
    const path = await dir.write('shorter.csv', csvOf(10))
    const options = { to: db.url, table: 'shorter', job: 'shorter' }
    await pipeline(csv(path).chunks(), await tableWriter(options))
    await dir.write('shorter.csv', csvOf(5))
    const changed = { code: 'CHECKPOINT_INPUT_CHANGED' }
    const columns = { id: 'int4' } as const
    for (const [source, error] of [
      [csv(path), changed],
      [csv(Readable.from([csvOf(5)])), { code: 'SOURCE_UNREADABLE' }],
      [fromRows([{ id: 1 }], { columns }), changed],
    ] as const) {
      const writer = await tableWriter(options)
      await expect(pipeline(source.chunks(writer.position), writer)).rejects.toMatchObject(error)
      await closed(writer)
    }
  })

  test('takes arrays and objects that JSON cannot hold', async () => {
    await db.query('create table big (a int8[])')
    const rows = fromRows([{ a: [1n, 9007199254740993n] }], { columns: { a: 'int8[]' } })
    await pipeline(rows.chunks(), await tableWriter({ to: db.url, table: 'big', job: 'big' }))
    expect(await db.value('select a::text from big')).toBe('{1,9007199254740993}')
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    const bad = fromRows([{ a: circle }], { columns: { a: 'int8[]' } })
    const writer = await tableWriter({ to: db.url, table: 'big', job: 'circle' })
    await expect(pipeline(bad.chunks(), writer)).rejects.toMatchObject({ code: 'STAGE_VALUE' })
  })

  test('refuses chunks that do not begin where it is, or are not all there', async () => {
    const path = await dir.write('parts.csv', csvOf(20_000))
    const options = { to: db.url, table: 'parts', job: 'parts' }
    const cut = await tableWriter(options)
    const usage = { code: 'CONFIG_USAGE' }
    await expect(pipeline(csv(path).chunks().take(3), cut)).rejects.toMatchObject(usage)
    await closed(cut)
    expect(await lastRun()).toEqual({ status: 'failed', error: 'CONFIG_USAGE' })
    const rows = (n: number) =>
      fromRows(
        Array.from({ length: n }, (_, id) => ({ id })),
        { columns: { id: 'int4' } },
      )
    await db.query('create table counted (id int)')
    const counted = { to: db.url, table: 'counted', job: 'counted' }
    for (const n of [3_000, 4_000]) {
      const writer = await tableWriter(counted)
      await pipeline(rows(n).chunks(writer.position), writer)
    }
    const writer = await tableWriter(counted)
    await expect(pipeline(rows(9_000).chunks(), writer)).rejects.toMatchObject({
      ...usage,
      message: 'chunks from byte 0 on were written, expected those from byte 4000 on',
    })
    async function* someOf(chunks: AsyncIterable<StreamChunk>) {
      let i = 0
      for await (const chunk of chunks) if (i++ !== 1) yield chunk
    }
    const gaps = await tableWriter({ ...counted, job: 'gaps' })
    await expect(pipeline(rows(9_000).chunks(), someOf, gaps)).rejects.toMatchObject(usage)
    expect(await db.value('select count(*) from counted')).toBe('4016')
  })

  test('says that it is given something else than chunks', async () => {
    const usage = { code: 'CONFIG_USAGE', message: 'the stream gives no chunks' }
    const writer = await tableWriter({ to: db.url, table: 'none', job: 'none' })
    await expect(pipeline(Readable.from([{ id: 1 }]), writer)).rejects.toMatchObject(usage)
    const nowhere = new Writable({ objectMode: true })
    await expect(
      pipeline(Readable.from(['id\n']), through(where('id > 1')), nowhere),
    ).rejects.toMatchObject(usage)
  })

  test('takes rows of an iterable as a source, and goes on in it', async () => {
    async function* events(n: number) {
      for (let id = 0; id < n; id++) {
        if (id % 10_000 === 0) await sleep(1)
        yield { id, at: new Date(1_700_000_000_000 + id), tags: ['a', String(id)], other: 1 }
      }
    }
    const columns = { id: 'int4', at: 'timestamptz', tags: 'text[]' } as const
    const options = { to: db.url, table: 'event', job: 'events' }
    await db.query('create table event (id int primary key, at timestamptz, tags text[])')
    const failed = await tableWriter(options)
    await expect(
      pipeline(
        fromRows(events(40_000), { columns }).chunks(),
        (chunks) => failAfter(9, chunks as AsyncIterable<StreamChunk>),
        failed,
      ),
    ).rejects.toThrow('enough')
    const writer = await tableWriter(options)
    expect(writer.position?.byte).toBeGreaterThan(2_000)
    await pipeline(
      fromRows(events(40_000), { columns }).chunks(writer.position),
      through(filter((row: { id: number }) => row.id !== 39_999)),
      writer,
    ).catch((error: unknown) => expect(error).toMatchObject({ code: 'CHECKPOINT_OPTIONS_CHANGED' }))
    const plain = await tableWriter(options)
    await pipeline(fromRows(events(40_000), { columns }).chunks(plain.position), plain)
    expect(
      await db.query('select count(*)::int, sum(id)::int, max(tags[2]::int) from event'),
    ).toEqual([{ count: 40_000, sum: 799_980_000, max: 39_999 }])
  })

  test.each([
    ['a row that the server refuses', 'id,v\n1,1\n2,x\n', 'TARGET_ROW_REFUSED', 'v'],
    ['a record with another number of fields', 'id,v\n1,1\n2\n', 'SOURCE_BAD_ROW', undefined],
  ])('names the place of %s', async (name, text, code, column) => {
    const path = await dir.write('bad.csv', text)
    await db.query('drop table if exists bad')
    await db.query('create table bad (id int, v int)')
    const writer = await tableWriter({ to: db.url, table: 'bad', job: name })
    await expect(pipeline(csv(path).chunks(), writer)).rejects.toMatchObject({
      code,
      where: { record: 3, line: 3, ...(column === undefined ? {} : { column }) },
    })
    await expect.poll(() => backends(db)).toEqual([])
  })

  test('names the place of a row that a stage could not take, and closes the stages', async () => {
    const path = await dir.write('threw.csv', csvOf(10_000))
    const stage = through(
      filter((row: { note: string }) => {
        if (row.note === 'n7000') throw new TypeError('no')
        return true
      }),
    )
    const writer = await tableWriter({ to: db.url, table: 'threw', job: 'threw' })
    await expect(pipeline(csv(path).chunks(), stage, writer)).rejects.toMatchObject({
      code: 'STAGE_THREW',
      where: { record: 7_002, line: 7_002, source: path },
    })
    await closed(writer)
    expect(await lastRun()).toEqual({ status: 'failed', error: 'STAGE_THREW' })
  })

  test.each(['is being opened', 'could not be opened'])('closes a stage that %s', async (when) => {
    const events: string[] = []
    let opening = (): void => undefined
    const begun = new Promise<void>((resolve) => (opening = resolve))
    const stage = through({
      name: 'slow',
      identity: null,
      wire: null,
      bind: (columns) => ({
        columns,
        async open() {
          opening()
          await sleep(100)
          events.push('open')
          if (when === 'could not be opened') throw new Error('no')
        },
        apply: (chunk) => chunk,
        close() {
          events.push('close')
          return Promise.resolve()
        },
      }),
    })
    const path = await dir.write('opened.csv', csvOf(10))
    const run = pipeline(csv(path).chunks(), stage, new Writable({ objectMode: true }))
    const failed = expect(run).rejects.toThrow(when === 'is being opened' ? 'enough' : 'no')
    await begun
    if (when === 'is being opened') stage.destroy(new Error('enough'))
    await failed
    await closed(stage)
    expect(events).toEqual(['open', 'close'])
  })

  test('holds no more than some chunks of what stages have made', async () => {
    const path = await dir.write('made.csv', csvOf(60_000))
    const before = bufferBytes()
    let held = 0
    const make = through(
      derive({
        made: (row: { id: string }) => {
          if (row.id === '59000') held = bufferBytes() - before
          return Buffer.alloc(3_000, 'x')
        },
      }),
    )
    const writer = await tableWriter({ to: db.url, table: 'made', job: 'made' })
    await pipeline(csv(path).chunks(), make, writer)
    expect(writer.rows).toBe(60_000)
    expect(held).toBeLessThan(100 << 20)
  })

  test('drops rows with a key that was there, and judges all rows at its end', async () => {
    const path = await dir.write('twice.csv', `${csvOf(5_000)}${lines(2_500, 7_500)}`)
    const rules = quality<Row>({ rows: { min: 8_000 }, unique: ['id'] })
    const writer = await tableWriter({ to: db.url, table: 'twice', job: 'twice' })
    const failed = pipeline(csv(path).chunks(), through(dedupe('id')), through(rules), writer)
    await expect(failed).rejects.toMatchObject({
      code: 'QUALITY_FAILED',
      message: expect.stringContaining('rows is 7500') as string,
      where: { source: path },
    })
    await closed(writer)
    expect(await lastRun()).toEqual({ status: 'failed', error: 'QUALITY_FAILED' })
    const again = await tableWriter({ to: db.url, table: 'twice', job: 'twice' })
    const behind = pipeline(
      csv(path).chunks({ byte: 14, record: 2, line: 2 }),
      through(dedupe('id')),
      again,
    )
    await expect(behind).rejects.toMatchObject({ code: 'CONFIG_USAGE' })
    const warned = through(
      quality<Row>({ rows: { min: 8_000 }, unique: ['id'] }, { onFailure: 'warn' }),
    )
    const other = await tableWriter({ to: db.url, table: 'twice2', job: 'twice2' })
    await pipeline(csv(path).chunks(), through(dedupe('id')), warned, other)
    expect(warned.findings.map(({ rule, passed }) => [rule, passed])).toEqual([
      ['rows', false],
      ['unique(id)', true],
    ])
    expect(await db.value('select count(*) from twice2')).toBe('7500')
  })

  test('looks up in the target through a pool', async () => {
    const pool = new Pool({ connectionString: db.url, max: 4 })
    await db.query('create table zone (id text primary key, name text)')
    await db.query("insert into zone select 'n' || i, 'zone ' || i from generate_series(0, 99) i")
    const path = await dir.write('zones.csv', csvOf(100))
    const look = through(enrich('note', { table: 'zone', key: 'id', columns: ['name'] }), {
      to: pool,
    })
    const writer = await tableWriter({ to: pool, table: 'zoned', job: 'zoned' })
    await pipeline(csv(path).chunks(), look, writer)
    expect(await db.value("select count(*) from zoned where name = 'zone ' || id")).toBe('100')
    expect(pool.idleCount).toBe(pool.totalCount)
    await pool.end()
    const homeless = through(enrich('note', { table: 'zone', key: 'id', columns: ['name'] }))
    await expect(
      pipeline(csv(path).chunks(), homeless, new Writable({ objectMode: true })),
    ).rejects.toMatchObject({
      code: 'CONFIG_USAGE',
    })
  })

  test('stops when it is destroyed as it begins', async () => {
    const path = await dir.write('begun.csv', csvOf(10))
    const writer = await tableWriter({ to: db.url, table: 'begun', job: 'begun' })
    const ended = expect(finished(writer)).rejects.toMatchObject({
      code: expect.stringMatching(/^(RUN_ABORTED|ERR_STREAM_PREMATURE_CLOSE)$/) as string,
    })
    const [chunk] = (await csv(path).chunks().toArray()) as StreamChunk[]
    writer.write(chunk)
    writer.destroy()
    await ended
    expect(await backends(db)).toEqual([])
  })

  test('stops when asked to, also while it waits for its source', async () => {
    const stuck = new Readable({ read: () => undefined })
    stuck.push(csvOf(10))
    const stop = new AbortController()
    const writer = await tableWriter({ to: db.url, table: 'stuck', job: 'stuck' })
    const run = pipeline(csv(stuck).chunks(), writer, { signal: stop.signal })
    setTimeout(() => stop.abort(), 50)
    await expect(run).rejects.toMatchObject({ name: 'AbortError' })
    expect(stuck.destroyed).toBe(true)
    await closed(writer)
    expect(await backends(db)).toEqual([])
    expect(await lastRun()).toEqual({ status: 'interrupted', error: 'RUN_ABORTED' })
  })
})
