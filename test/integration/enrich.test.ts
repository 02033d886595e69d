import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import {
  type AnyStage,
  cast,
  derive,
  enrich,
  type KeyPart,
  load,
  type LoadOptions,
  type Row,
  select,
  type StageContext,
  where,
} from '../../dist/index.js'
import { useDatabase } from '../helpers/database.ts'
import { backends, noBackendLeft, runLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

/** id and zone, which is 1 to 50 again and again and NULL in each 100th. */
function csvOf(rows: number): string {
  const lines = Array.from(
    { length: rows },
    (_, i) => `${String(i)},${i % 100 === 0 ? '' : String((i % 50) + 1)}\n`,
  )
  return `id,zone\n${lines.join('')}`
}

/** Zones 1 to 40. */
async function makeZones(table: string): Promise<void> {
  await db.query(
    `create table ${table} as
       select n::int8 as id, 'zone ' || n as name, (n / 4.0)::numeric(6,2) as fare, n % 2 = 0 as even,
              date '2024-01-01' + n as since
         from generate_series(1, 40) n`,
  )
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  )
}

describe('enrich by a table', () => {
  test.each([1, 2])('gives a new table its types, with %i lanes', async (lanes) => {
    const table = `zones_${String(lanes)}`
    await makeZones(table)
    const input = await dir.write(`${table}.csv`, csvOf(10_000))
    const columns = { zone_name: 'name', fare: 'fare', even: 'even', since: 'since' }
    const summary = await load({
      maxErrors: 0,
      ...{ input, to: db.url, table: `out_${table}`, lanes, chunkSize: 16 * 1024 },
      stages: [enrich('zone', { table, key: 'id', columns })],
    })
    await noBackendLeft(db)
    expect(summary.rows).toMatchObject({ read: 10_000, loaded: 10_000, filtered: 0 })
    expect(summary.stages).toMatchObject([{ stage: 'enrich', in: 10_000, out: 10_000 }])
    const found = await db.query(
      `select attname || ' ' || format_type(atttypid, atttypmod) as c from pg_attribute
        where attrelid = 'out_${table}'::regclass and attnum > 0 order by attnum`,
    )
    expect(found.map(({ c }) => c as string)).toEqual([
      'id integer',
      'zone integer',
      'zone_name text',
      'fare numeric(6,2)',
      'even boolean',
      'since date',
    ])
    const differences = await db.query(
      `select o.* from out_${table} o left join ${table} z on z.id = o.zone
        where (o.zone_name, o.fare, o.even, o.since) is distinct from (z.name, z.fare, z.even, z.since)`,
    )
    expect(differences).toEqual([])
    expect(await db.value(`select count(*)::int from out_${table} where fare is null`)).toBe(2_100)
  })

  test('shows stages behind it values of the types of the table', async () => {
    await makeZones('typed_zones')
    const input = await dir.write('typed.csv', 'id,zone\n1,7\n')
    const seen: unknown[] = []
    const watch = derive({
      id: (row: Row) => {
        seen.push([row['key'], row['fare'], row['even'], row['since']])
        return row['id']
      },
    })
    const columns = { key: 'id', fare: 'fare', even: 'even', since: 'since' }
    const stages = [enrich('zone', { table: 'public.typed_zones', key: 'id', columns }), watch]
    await load({ maxErrors: 0, input, to: db.url, table: 'typed', stages, lanes: 1 })
    expect(seen.at(-1)).toEqual([7n, '1.75', false, '2024-01-08'])
  })

  test('gives a column that it replaces the type of the table, for cast to name it to stages behind', async () => {
    await makeZones('replacing_zones')
    const input = await dir.write('replacing.csv', csvOf(200))
    const stages = [
      enrich('zone', {
        table: 'replacing_zones',
        key: 'id',
        columns: { zone: 'name', fare: 'fare' },
      }),
      cast({ fare: { type: 'numeric' } }),
      where('fare >= 9.5'),
    ]
    await load({ maxErrors: 0, input, to: db.url, table: 'replacing', stages, lanes: 1 })
    const found = await db.query(
      'select distinct zone, fare::text, pg_typeof(zone)::text as type from replacing order by 2 desc',
    )
    expect(found).toEqual([
      { zone: 'zone 39', fare: '9.75', type: 'text' },
      { zone: 'zone 38', fare: '9.50', type: 'text' },
      { zone: 'zone 40', fare: '10.00', type: 'text' },
    ])
  })

  test.each([
    ['int8', ['1', '9007199254740993', ' 7 '], '8', ['one', 'big', 'seven']],
    ['numeric', ['1.0', '9007199254740993.10', '7e0'], '8', ['one', null, 'seven']],
    ['text', ['1', 'Ünï', "a'b\\c,d"], '7', ['one', 'umlaut', 'odd']],
    [
      'uuid',
      ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc999c0b4ef8bb6d6bb9bd380a12'],
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13',
      ['one', 'two'],
    ],
    ['varchar(3)', ['abc', 'abcd'], 'abd', ['one', null]],
    ['char(3)', ['ab', 'abcd'], 'abc', ['one', null]],
    ['numeric(3,1)', ['1.2', '1.23'], '1.3', ['one', null]],
  ])('compares keys by the equality of %s', async (type, keys, other, expected) => {
    const name = `keys_${type.replace(/\W+/g, '_')}`
    const stored: Record<string, string[]> = {
      int8: ['1', '9007199254740993', '7'],
      numeric: ['1', '9007199254740993.11', '7.00'],
      text: keys,
      uuid: keys,
      'varchar(3)': ['abc'],
      'char(3)': ['ab'],
      'numeric(3,1)': ['1.2'],
    }
    const words = type === 'text' ? ['one', 'umlaut', 'odd'] : ['one', 'big', 'seven']
    const names = type === 'uuid' ? ['one', 'two'] : words
    await db.query(`create domain ${name}_domain as ${type}`)
    await db.query(`create table ${name} (key ${name}_domain, word text)`)
    await db.query(`insert into ${name} select * from unnest($1::text[]::${type}[], $2::text[])`, [
      [...stored[type]!, other],
      [...stored[type]!.map((_, i) => names[i]), 'other'],
    ])
    const quoted = keys.map((key, i) => `${String(i)},"${key}"\n`).join('')
    const input = await dir.write(`${name}.csv`, `n,k\n${quoted}`)
    await db.query(`create table out_${name} (n int, word text)`)
    const stages = [
      enrich('k', { table: name, key: 'key', columns: ['word'] }),
      select(['n', 'word']),
    ]
    await load({ maxErrors: 0, input, to: db.url, table: `out_${name}`, stages, lanes: 1 })
    const rows = await db.query<{ word: string }>(`select word from out_${name} order by n`)
    expect(rows.map(({ word }) => word)).toEqual(expected)
  })

  test('takes a key of several columns, and names that have to be quoted', async () => {
    await db.query('create schema "Odd one"')
    await db.query(
      'create view "Odd one"."the.""table" as select 1 as a, \'x\' as "B b", 5 as five',
    )
    const input = await dir.write('quoted.csv', 'a,b\n1,x\n1,y\n,x\n')
    const stage = enrich(['a', 'b'], {
      ...{ table: '"Odd one"."the.""table"', key: ['a', 'B b'], columns: ['five'] },
      missing: 'drop',
    })
    const summary = await load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'quoted',
      stages: [stage],
      lanes: 2,
    })
    expect(summary.rows).toMatchObject({ loaded: 1, filtered: 2 })
    expect(await db.query('select * from quoted')).toEqual([{ a: 1, b: 'x', five: 5 }])
  })

  test.each([
    ['a table that is not there', { table: 'no_zones' }, 'CONFIG_BAD_VALUE', '"no_zones"'],
    ['a key that is not there', { key: 'nr' }, 'CONFIG_UNKNOWN_COLUMN', '"nr" of "public"'],
    ['a column that is not there', { columns: ['x'] }, 'CONFIG_UNKNOWN_COLUMN', '"x" of "public"'],
    ['a key without equality', { key: 'doc' }, 'TARGET_REFUSED', 'operator'],
  ])('refuses %s before a job is begun', async (what, wrong, code, message) => {
    await db.query('create table if not exists some_zones (id int, name text, doc json)')
    const name = what.replaceAll(' ', '_')
    const input = await dir.write(`${name}.csv`, csvOf(10))
    const right = { table: 'some_zones', key: 'id', columns: ['name'] }
    for (const made of [false, true]) {
      const table = `refused_${name}_${String(made)}`
      if (made) await db.query(`create table ${table} (id int, zone int, name text, x text)`)
      const stages = (options: typeof right): AnyStage[] => [enrich('zone', options)]
      const options = { input, to: db.url, table }
      const error = await errorOf(
        load({ maxErrors: 0, ...options, stages: stages({ ...right, ...wrong }) }),
      )
      expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string })
      await noBackendLeft(db)
      expect(await db.value('select to_regclass($1) is not null', [table])).toBe(made)
      const summary = await load({ maxErrors: 0, ...options, stages: stages(right) })
      expect(summary).toMatchObject({ status: 'complete', rows: { loaded: 10 } })
    }
  })

  test('stops at the first row whose key has more than one match', async () => {
    await db.query(
      'create table doubles as select n as id, n as v from generate_series(1, 50) n, generate_series(1, 1 + (n = 30)::int * 5000)',
    )
    const input = await dir.write('doubles.csv', csvOf(100))
    const stages = [enrich('zone', { table: 'doubles', key: 'id', columns: ['v'] })]
    const error = await errorOf(
      load({ maxErrors: 0, input, to: db.url, table: 'out_doubles', stages }),
    )
    expect(error).toMatchObject({ code: 'STAGE_INVALID', where: { record: 31, line: 31 } })
    expect((error as Error).message).toContain(
      'stage enrich (columns it reads: zone): more than one row of "public"."doubles" has its key',
    )
  })

  test.each([
    ['an empty table', ''],
    ['a table', "insert into TABLE values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1)"],
    ['an index', 'create index on TABLE (id)'],
  ])('stops at the first row whose key is no value of the type, with %s', async (what, sql) => {
    const table = `uuids_of_${what.replaceAll(' ', '_')}`
    await db.query(`create table ${table} (id uuid, n int)`)
    await db.query(sql.replace('TABLE', table))
    const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a'
    const lines = Array.from({ length: 3_000 }, (_, i) =>
      i === 1_234 || i === 2_345
        ? `secret${String(i)},1\n`
        : `${uuid}${String((i % 89) + 10)},${i === 1_300 ? '1x' : '1'}\n`,
    )
    const input = await dir.write(`${table}.csv`, `id,n\n${lines.join('')}`)
    const stage = enrich(['id', 'n'], { table, key: ['id', 'n'], columns: { found: 'n' } })
    const error = await errorOf(
      load({ maxErrors: 0, input, to: db.url, table: `out_${table}`, stages: [stage] }),
    )
    expect(error).toMatchObject({ code: 'STAGE_CAST', where: { record: 1_236 } })
    const message = 'stage enrich (columns it reads: id, n): its key is no uuid, integer'
    expect((error as Error).message).toContain(message)
    expect((error as Error).message).not.toContain('secret')
  })

  test('goes on when the connection it asks over is lost, however often', async () => {
    await makeZones('lost_zones')
    const input = await dir.write('lost.csv', csvOf(3_000))
    let killed = 0
    const kill = enrich('id', {
      lookup: async (keys: readonly KeyPart[]) => {
        const gone = await db.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and application_name like 'millrace%' and query ~ 'with ordinality'`,
        )
        killed += gone.length
        return keys.map(() => null)
      },
      columns: [],
    })
    const zone = enrich('zone', { table: 'lost_zones', key: 'id', columns: ['name'], cache: 0 })
    const warnings: string[] = []
    const quiet = { debug: () => 0, info: () => 0, error: () => 0 }
    const summary = await load({
      maxErrors: 0,
      ...{ input, to: db.url, table: 'out_lost', lanes: 1, chunkSize: 4_096 },
      stages: [kill, zone],
      log: { ...quiet, warn: (_, message) => warnings.push(message) },
    })
    expect(killed).toBeGreaterThan(3)
    expect(warnings).toEqual([])
    expect(summary.rows.loaded).toBe(3_000)
    await noBackendLeft(db)
  })

  test('asks over a connection that only reads', async () => {
    await db.query(
      `create function reading(int) returns int language plpgsql as
         $$ begin if current_setting('transaction_read_only') <> 'on' then raise 'may write'; end if; return $1; end $$`,
    )
    await db.query(
      'create view read_view as select n as id, reading(n) as v from generate_series(1, 50) n',
    )
    const input = await dir.write('read.csv', csvOf(1_000))
    const stages = [enrich('zone', { table: 'read_view', key: 'id', columns: ['v'] })]
    await load({ maxErrors: 0, input, to: db.url, table: 'out_read', lanes: 2, stages })
    expect(await db.value('select count(*)::int from out_read where v = zone')).toBe(990)
  })
})

describe('a load that is stopped', () => {
  const waiting =
    "select from pg_stat_activity where query ~ 'with ordinality' and wait_event_type = 'Lock'"

  test.each(['before the table is created', 'while it loads'])(
    'while a look-up waits, %s, settles and leaves nothing',
    async (when) => {
      const name = when.startsWith('before') ? 'stop_new' : 'stop_there'
      await makeZones(`${name}_zones`)
      const input = await dir.write(`${name}.csv`, csvOf(100_000))
      const stop = new AbortController()
      const blocker = new Client({ connectionString: db.url })
      await blocker.connect()
      const lock = `begin; lock table ${name}_zones in access exclusive mode`
      // Inline, so that the lane is one of this thread: a thread that is ended leaves nothing anyway.
      const blocking = derive({
        id: (row: Row) => {
          if (when.startsWith('while') && row['id'] === 0) void blocker.query(lock)
          return row['id']
        },
      })
      const slow = enrich('id', {
        lookup: async (keys: readonly KeyPart[]) => {
          await blocker.query('select')
          return keys.map(() => null)
        },
        columns: [],
      })
      const zone = enrich('zone', { table: `${name}_zones`, key: 'id', columns: ['name'] })
      try {
        if (when.startsWith('before')) await blocker.query(lock)
        else await db.query(`create table ${name} (id int, zone int, name text)`)
        const options = { input, to: db.url, table: name, lanes: 1, signal: stop.signal }
        const settled = errorOf(load({ maxErrors: 0, ...options, stages: [blocking, slow, zone] }))
        await until('the look-up waits', async () => (await db.query(waiting)).length > 0)
        const began = performance.now()
        stop.abort()
        expect(await settled).toMatchObject({ code: 'RUN_ABORTED' })
        expect(performance.now() - began).toBeLessThan(10_000)
      } finally {
        await blocker.end()
      }
      await noBackendLeft(db)
    },
  )

  test.each(['before the table is created', 'while it loads'])(
    'while a function does not answer, %s, settles and leaves nothing',
    async (when) => {
      const name = when.startsWith('before') ? 'never_new' : 'never_there'
      const input = await dir.write(`${name}.csv`, csvOf(10))
      const stop = new AbortController()
      let asked = false
      const never = enrich('id', {
        lookup: () => {
          asked = true
          return new Promise<never[]>(() => undefined)
        },
        columns: ['name'],
      })
      if (when.startsWith('while'))
        await db.query(`create table ${name} (id int, zone int, name text)`)
      const options = { input, to: db.url, table: name, lanes: 1, signal: stop.signal }
      const settled = errorOf(load({ maxErrors: 0, ...options, stages: [never] }))
      await until('it is asked', () => asked)
      stop.abort()
      expect(await settled).toMatchObject({ code: 'RUN_ABORTED' })
      await noBackendLeft(db)
    },
  )
})

describe('enrich by a file', () => {
  test('does so in each lane, and belongs to the job by its content', async () => {
    const zones = Array.from({ length: 40 }, (_, i) => `${String(i + 1)};zone ${String(i + 1)}\n`)
    const csv = await dir.write('zones.csv', `id;name\n${zones.join('')}`)
    const input = await dir.write('file.csv', csvOf(10_000))
    const stages = [enrich('zone', { csv, key: 'id', columns: ['name'], missing: 'drop' })]
    const options = { input, to: db.url, table: 'by_file', stages, lanes: 2, chunkSize: 16 * 1024 }
    expect(await load(options)).toMatchObject({ rows: { loaded: 7_900, filtered: 2_100 } })
    expect(await db.value(`select count(*)::int from by_file where name = 'zone ' || zone`)).toBe(
      7_900,
    )
    expect(await load(options)).toMatchObject({ status: 'already-complete' })
    await dir.write('zones.csv', `id;name\n${zones.join('')}41;new\n`)
    expect(await errorOf(load(options))).toMatchObject({
      code: 'CHECKPOINT_OPTIONS_CHANGED',
      message: expect.stringContaining('stage 1: enrich does something else') as string,
    })
  })
})

describe('enrich by a function', () => {
  const one = (options: Partial<LoadOptions> & { input: string }): Promise<unknown> =>
    errorOf(load({ maxErrors: 0, to: db.url, table: 'by_function', lanes: 1, ...options }))

  test('that fails ends the load at once, and the same load goes on when it works', async () => {
    const input = await dir.write('function.csv', csvOf(20_000))
    await db.query('create table by_function (id int, zone int, name text)')
    let most = 10_000
    const asked: number[] = []
    const named = enrich('id', {
      lookup: async (keys: readonly KeyPart[]) => {
        asked.push(keys.length)
        await Promise.resolve()
        if (keys.some((key) => Number(key) > most)) throw new Error('secret')
        return keys.map((key) => ({ name: `name ${String(key)}` }))
      },
      columns: ['name'],
    })
    const options = { input, stages: [named], chunkSize: 16 * 1024 }
    const error = await one(options)
    expect(error).toMatchObject({ name: 'StageError', code: 'STAGE_THREW' })
    expect((error as Error).message).not.toContain('secret')
    expect(asked.length).toBeLessThan(20)
    await noBackendLeft(db)
    most = Infinity
    expect(await one(options)).toBeNull()
    expect(
      await db.query(
        `select count(*)::int as n, count(distinct name)::int as names from by_function where name = 'name ' || id`,
      ),
    ).toEqual([{ n: 20_000, names: 20_000 }])
  })
})

describe('enrich in a module', () => {
  test('looks up in a table, a file beside it, and by a function, in every lane', async () => {
    await makeZones('module_zones')
    await dir.write('words.csv', 'even,word\ntrue,even\nfalse,odd\n')
    const module = await dir.write(
      'enrich.ts',
      `import { enrich } from 'millrace'
       export default [
         enrich('zone', { table: 'module_zones', key: 'id', columns: ['even', 'fare'] }),
         enrich('even', { csv: new URL('words.csv', import.meta.url), key: 'even', columns: ['word'] }),
         enrich(['zone', 'word'], {
           lookup: async (keys: [number, string][]) => keys.map(([zone, word]) => ({ pair: zone + word })),
           columns: { pair: 'text' },
         }),
       ]`,
    )
    const input = await dir.write('module.csv', csvOf(10_000))
    const args = [input, '--table', 'by_module', '--stage', module, '--lanes', '2']
    const { code, report } = await runLoad(db, [...args, '--chunk-size', '32KiB'])
    expect(report.error).toBeUndefined()
    expect(code).toBe(0)
    expect(
      await db.query(
        `select count(*)::int as n, count(pair)::int as found,
                count(*) filter (where pair = zone || case when zone % 2 = 0 then 'even' else 'odd' end)::int as right,
                pg_typeof(min(fare))::text as type from by_module`,
      ),
    ).toEqual([{ n: 10_000, found: 7_900, right: 7_900, type: 'numeric' }])
    expect((await runLoad(db, args)).report.status).toBe('already-complete')
    await dir.write('words.csv', 'even,word\ntrue,yes\nfalse,no\n')
    const changed = await runLoad(db, args)
    expect(changed.report.error).toMatchObject({ code: 'CHECKPOINT_OPTIONS_CHANGED' })
    expect(await backends(db)).toEqual([])
  })

  test('says that there is no such table', async () => {
    const module = await dir.write(
      'missing.ts',
      "import { enrich } from 'millrace'\nexport default enrich('zone', { table: 'gone', key: 'id', columns: ['x'] })\n",
    )
    const input = await dir.write('missing.csv', csvOf(10))
    const { code, report } = await runLoad(db, [input, '--table', 'missing', '--stage', module])
    expect(code).toBe(2)
    expect(report.error).toMatchObject({ code: 'CONFIG_BAD_VALUE' })
  })
})

describe('what stages may ask', () => {
  test('is only read', async () => {
    const writes = {
      name: 'writes',
      identity: 'writes',
      wire: null,
      bind: (columns: Parameters<AnyStage['bind']>[0]) => ({
        columns,
        open: async (context: StageContext) => {
          await context.query('create table written ()')
        },
      }),
    }
    const input = await dir.write('written.csv', csvOf(10))
    const error = await errorOf(
      load({ maxErrors: 0, input, to: db.url, table: 'w', stages: [writes] }),
    )
    expect(error).toMatchObject({ code: 'TARGET_REFUSED', server: { sqlstate: '25006' } })
    expect(await db.value("select to_regclass('written')")).toBeNull()
  })
})
