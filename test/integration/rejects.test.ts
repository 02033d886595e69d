import { beforeEach, describe, expect, test } from 'vitest'
import { Readable } from 'node:stream'
import {
  load,
  type LoadOptions,
  map,
  type RejectError,
  type Row,
  validate,
} from '../../dist/index.js'
import { countMixed, MIXED_TABLE, mixedRows, readRejects } from '../helpers/bad-rows.ts'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const JOB = 'mixed rows'

beforeEach(async () => {
  await db.query('drop table if exists mixed, modes; drop domain if exists percent')
  await db.query('drop schema if exists millrace cascade')
  await db.query(MIXED_TABLE)
})

describe('rows that cannot be loaded', () => {
  test.each([
    { lanes: 1, chunkSize: 65536 },
    { lanes: 3, chunkSize: 20000 },
  ])(
    'are kept, each once and with its reason, and the others are loaded: $lanes lanes',
    async (how) => {
      const { bytes, good, bad } = mixedRows(8000, (row) => row % 73 === 40)
      const input = await dir.write('mixed.csv', bytes)
      const options: LoadOptions = {
        input,
        to: db.url,
        table: 'mixed',
        job: JOB,
        maxErrors: '5%',
        ...how,
      }
      const summary = await load(options)
      expect(summary.rows).toMatchObject({
        read: 8000,
        loaded: good,
        rejected: bad.length,
        filtered: 0,
      })
      expect(await countMixed(db, JOB)).toEqual({
        rows: good,
        ids: good,
        loaded: good,
        rejected: bad.length,
        read: 8000,
      })
      expect(await readRejects(db, JOB)).toEqual(bad)
      expect((await load(options)).status).toBe('already-complete')
    },
  )
})

describe('bytes that are no text in a comment', () => {
  test('are nothing of the record behind it, nor of one that is not there', async () => {
    await db.query('create table noted (a int, b text)')
    const text = 'a,b\n#caf\xe9\n1,x\n2,\xe9\n3,y\n#end\xe9\n#more\xe9\n'
    const input = await dir.write('noted.csv', Buffer.from(text, 'latin1'))
    const dialect = { comment: '#' }
    const { rows } = await load({ input, to: db.url, table: 'noted', dialect, maxErrors: '50%' })
    expect(rows).toMatchObject({ read: 3, loaded: 2, rejected: 1, filtered: 0 })
    expect(await db.query('select a, b from noted order by a')).toEqual([
      { a: 1, b: 'x' },
      { a: 3, b: 'y' },
    ])
    await db.query('drop table noted')
  })
})

describe('rows that a stage gives up', () => {
  test('are kept with the stage and the column', async () => {
    await db.query('create table staged (id int, n int)')
    const lines = Array.from({ length: 3000 }, (_, i) => `${String(i)},${String(i % 100)}\n`)
    const input = await dir.write('staged.csv', `id,n\n${lines.join('')}`)
    const odd = map((row: Row) => {
      if (Number(row['id']) === 1234) throw new Error('not this one')
      return { ...row }
    })
    const stages = [validate({ n: { max: 97 } }), odd]
    const { rows } = await load({
      input,
      to: db.url,
      table: 'staged',
      stages,
      maxErrors: '3%',
      chunkSize: 8192,
    })
    expect(rows).toMatchObject({ read: 3000, loaded: 2939, rejected: 61, filtered: 0 })
    expect(
      await db.query(
        `select stage, column_name, code, count(*)::int as n from millrace.reject group by 1, 2, 3 order by 1`,
      ),
    ).toEqual([
      { stage: 'map', column_name: null, code: 'STAGE_THREW', n: 1 },
      { stage: 'validate', column_name: 'n', code: 'STAGE_INVALID', n: 60 },
    ])
    expect(await db.value('select count(*)::int from staged')).toBe(2939)
    await db.query('drop table staged')
  })
})

describe('a stream whose table is made from its first bytes', () => {
  test('widens a column for what does not fit, and rejects what is no row', async () => {
    const note = 'a note that is long enough'
    const first = Array.from({ length: 700_000 }, (_, i) => `${String(i)},${note}\n`).join('')
    const last = '1,2,3\nword,fits\n5\n'
    const input = Readable.from([Buffer.from(`id,note\n${first}`), Buffer.from(last)])
    const { rows } = await load({ input, to: db.url, table: 'widened', lanes: 2 })
    expect(rows).toMatchObject({ read: 700_003, loaded: 700_001, rejected: 2 })
    expect(await db.query(`select raw from millrace.reject order by byte`)).toEqual([
      { raw: Buffer.from('1,2,3') },
      { raw: Buffer.from('5') },
    ])
    expect(await db.value(`select note from widened where id = 'word'`)).toBe('fits')
    await db.query('drop table widened')
  })
})

describe('keys that come twice', () => {
  test('are loaded once and rejected once, wherever the two are', async () => {
    await db.query('create table keyed (k int unique, pad text)')
    const keys = Array.from({ length: 4000 }, (_, i) =>
      i % 50 === 7 ? i - 7 : i % 331 === 5 ? 3990 - i : i,
    )
    const input = await dir.write(
      'keyed.csv',
      `k,pad\n${keys.map((k) => `${String(k)},${'x'.repeat(20)}\n`).join('')}`,
    )
    const distinct = new Set(keys).size
    const { rows } = await load({
      input,
      to: db.url,
      table: 'keyed',
      lanes: 4,
      chunkSize: 4096,
      maxErrors: '100%',
    })
    expect(rows).toMatchObject({ read: 4000, loaded: distinct, rejected: 4000 - distinct })
    expect(await db.value('select count(*)::int from keyed')).toBe(distinct)
    expect(await db.value('select count(distinct record)::int from millrace.reject')).toBe(
      4000 - distinct,
    )
    await db.query('drop table keyed')
  })

  test('are found where a constraint is only checked at the end', async () => {
    await db.query('create table late (k int unique deferrable initially deferred)')
    const input = await dir.write('late.csv', `k\n${[1, 2, 3, 2, 4].join('\n')}\n`)
    const { rows } = await load({ input, to: db.url, table: 'late', maxErrors: 1 })
    expect(rows).toMatchObject({ read: 5, loaded: 4, rejected: 1 })
    expect(await db.value('select record::int from millrace.reject')).toBe(5)
    await db.query('drop table late')
  })
})

describe('too many rejected rows', () => {
  const bad = 4000 / 40

  async function failureOf(options: LoadOptions): Promise<RejectError> {
    return (await load(options).then(
      () => null,
      (error: unknown) => error,
    )) as RejectError
  }

  test.each([bad - 1, '2%'] as const)(
    'end the load at %s, and a run that allows them goes on',
    async (maxErrors) => {
      const { bytes, good } = mixedRows(4000, (row) => row % 40 === 39)
      const input = await dir.write(`many-${String(maxErrors)}.csv`, bytes)
      const options = { input, to: db.url, table: 'mixed', job: JOB, chunkSize: 20_000, maxErrors }
      const error = await failureOf(options)
      expect(error).toMatchObject({ code: 'REJECTED_TOO_MANY' })
      expect(error.reasons.length).toBeGreaterThan(5)
      // The verdict of what is committed is the same before anything is read.
      const again = await failureOf(options)
      expect(again).toMatchObject({ code: 'REJECTED_TOO_MANY' })
      const { rows, resumed } = await load({ ...options, maxErrors: '2.5%' })
      expect(resumed.rows + rows.loaded).toBe(good)
      const counted = await countMixed(db, JOB)
      expect(counted).toMatchObject({ rows: good, loaded: good, rejected: bad })
    },
  )

  test('of every kind end the load, in bounded time, when all are bad', async () => {
    const { bytes } = mixedRows(30_000, (row) => row > 0)
    const input = await dir.write('all-bad.csv', bytes)
    const options = { input, to: db.url, table: 'mixed', job: JOB, lanes: 2, chunkSize: 100_000 }
    expect(await failureOf(options)).toMatchObject({ code: 'REJECTED_TOO_MANY' })
    const { read } = await countMixed(db, JOB)
    expect(read).toBeLessThan(15_000)
  })

  test('are none where none may be: the chunk is rolled back', async () => {
    const { bytes } = mixedRows(200, (row) => row === 150)
    const input = await dir.write('none.csv', bytes)
    const options = { input, to: db.url, table: 'mixed', job: JOB, maxErrors: 0 } as const
    expect(await failureOf(options)).toMatchObject({ code: 'TARGET_ROW_REFUSED' })
    expect(await countMixed(db, JOB)).toMatchObject({ rows: 0, read: 0 })
  })
})

describe('a suspected row', () => {
  /** Loads a file of columns a and b, of which some rows are bad, and gives the table and the rejects. */
  async function loadInto(ddl: string, lines: readonly string[], more: Partial<LoadOptions> = {}) {
    await db.query(`drop table if exists suspected cascade; drop domain if exists dom; ${ddl}`)
    const input = await dir.write(
      'suspected.csv',
      `a,b\n${lines.map((line) => `${line}\n`).join('')}`,
    )
    const job = `suspected ${ddl} ${lines.join()}`
    await load({ input, to: db.url, table: 'suspected', job, maxErrors: '100%', lanes: 1, ...more })
    const rows = await db.query<{ row: string }>(
      `select concat_ws(',', a, b) as row from suspected order by a`,
    )
    const kept = await db.query<{ record: number; code: string; column: string | null }>(
      `select record::int, code, column_name as "column" from millrace.reject
        where job = (select max(id) from millrace.job) order by byte`,
    )
    return {
      rows: rows.map(({ row }) => row),
      rejects: kept.map(({ record, code, column }) => [record, code, column]),
    }
  }

  test.each([
    [
      'create domain dom as varchar(3); create table suspected (a int, b dom)',
      ['1,abc', '2,abcdef', '3,x'],
      ['1,abc', '3,x'],
      [[3, '22001', 'b']],
    ],
    [
      'create domain dom as int not null; create table suspected (a int, b dom)',
      ['1,1', '2,z', '3,3'],
      ['1,1', '3,3'],
      [[3, '22P02', 'b']],
    ],
    [
      'create table suspected (a int, b char(2))',
      ['1,abc', '2, x', '3,x  ', 'q,y'],
      ['2, x', '3,x '],
      [
        [2, '22001', 'b'],
        [5, '22P02', 'a'],
      ],
    ],
    [
      'create table suspected (a int, b interval hour)',
      ['1,10', '2,x', '3,x', '4,x', '5,x', '6,11'],
      ['1,10:00:00', '6,11:00:00'],
      [
        [3, '22007', 'b'],
        [4, '22007', 'b'],
        [5, '22007', 'b'],
        [6, '22007', 'b'],
      ],
    ],
    [
      'create table suspected (a int, b varchar(2)[])',
      ['1,"{a,b}"', '2,"{a,bcd}"', '3,{'],
      ['1,{a,b}'],
      [
        [3, '22001', null],
        [4, '22P02', 'b'],
      ],
    ],
    [
      'create table suspected (a int, b jsonpath)',
      ['1,$.a', '2,$['],
      ['1,$."a"'],
      [[3, '42601', null]],
    ],
    [
      'create table suspected (a int primary key, b int references suspected)',
      ['1,2', '2,3', '3,', '4,99'],
      ['1,2', '2,3', '3'],
      [[5, '23503', null]],
    ],
    [
      'create table suspected ("a" int, "b" int, check (a < b))',
      ['1,2', '2,1', ' 3 ,4', 'x,y'],
      ['1,2', '3,4'],
      [
        [3, '23514', null],
        [5, '22P02', 'a'],
      ],
    ],
    [
      'create table suspected (a int, b int, check (a > 1), check (b between 0 and 9 or b is null), check (10 / b > 0))',
      ['1,1', '2,', '3,10', '4,0', ',5', '6,11', '7,3'],
      ['2', '7,3', '5'],
      [
        [2, '23514', null],
        [4, '23514', null],
        [5, '22012', null],
        [7, '23514', null],
      ],
    ],
    [
      `create or replace function is_fine(int) returns bool language plpgsql as $$ begin return $1 <> 3; end $$;
       create table suspected (a int, b int, c int generated always as (a + b) stored,
         check (is_fine(a)), check (c < 100), check (suspected is not null), check (a <> b) not valid)`,
      ['1,2', '3,1', '4,99', '5,', '6,6', '7,8'],
      ['1,2', '7,8'],
      [
        [3, '23514', null],
        [4, '23514', null],
        [5, '23514', null],
        [6, '23514', null],
      ],
    ],
    [
      'create table suspected (a int, b inet, check (a < 3), check (family(b) = 4))',
      ['1,10.0.0.1', '2,::1', '3,10.0.0.2', '2,10.0.0', '1,10.0.0.3'],
      ['1,10.0.0.1', '1,10.0.0.3'],
      [
        [3, '23514', null],
        [4, '23514', null],
        [5, '22P02', 'b'],
      ],
    ],
  ] as const)('is read as COPY reads it: %s', async (ddl, lines, rows, rejects) => {
    expect(await loadInto(ddl, lines)).toEqual({ rows, rejects })
  })

  test('that a trigger drops fails the load, as it does in a COPY', async () => {
    const ddl = `create table suspected (a int not null, b text);
      create or replace function drop_it() returns trigger language plpgsql as
        $$ begin if new.b = 'skip' then return null; end if; return new; end $$;
      create trigger dropping before insert on suspected for each row execute function drop_it()`
    const loading = loadInto(ddl, ['1,x', ',skip', 'z,w', '5,v'])
    await expect(loading).rejects.toMatchObject({ code: 'TARGET_REFUSED' })
    expect(await db.value('select count(*)::int from suspected')).toBe(0)
  })

  test('of a role that may make no temporary table is an error that names the right', async () => {
    const role = `limited_${String(process.pid)}`
    const [{ name }] = (await db.query('select current_database() as name')) as [{ name: string }]
    await db.query(`drop table if exists suspected; create table suspected (a int, b int);
      create role ${role} login password 'limited'; revoke temporary on database ${name} from public;
      grant insert on suspected to ${role}; grant create on database ${name} to ${role}`)
    try {
      const url = new URL(db.url)
      url.username = role
      url.password = 'limited'
      const input = await dir.write('limited.csv', 'a,b\n1,2\n2,x\n')
      const options = {
        input,
        to: url.href,
        table: 'suspected',
        maxErrors: '100%',
        stateSchema: 'limited',
      } as const
      await expect(load(options)).rejects.toMatchObject({
        code: 'TARGET_REFUSED',
        hint: expect.stringContaining('grant temporary') as string,
      })
      await load({ ...options, input: await dir.write('fine.csv', 'a,b\n1,2\n') })
    } finally {
      await db.query(`grant temporary on database ${name} to public;
        drop schema if exists limited cascade; drop owned by ${role}; drop role ${role}`)
    }
  })
})

describe('lanes that deadlock', () => {
  test('try again, and load what they can', async () => {
    await db.query('create table locked (k int unique, pad text)')
    const up = Array.from({ length: 3000 }, (_, i) => i)
    const blocks = Array.from({ length: 6 }, (_, b) => {
      const block = up.map((i) => i + 3000 * b)
      return [...block, ...block.toReversed()]
    }).flat()
    const lines = blocks.map((k) => `${String(1_000_000 + k)},${'x'.repeat(20)}\n`)
    const input = await dir.write('deadlocks.csv', `k,pad\n${lines.join('')}`)
    const { rows } = await load({
      ...{ input, to: db.url, table: 'locked', lanes: 2, maxErrors: '100%' },
      chunkSize: 3000 * lines[0]!.length,
    })
    expect(rows).toMatchObject({ read: 36_000, loaded: 18_000, rejected: 18_000 })
    await db.query('drop table locked')
  })
})

describe('a trigger that always asks for another try', () => {
  test('ends the load after some', async () => {
    await db.query(`create table never (k int);
      create or replace function never() returns trigger language plpgsql as
        $$ begin raise exception 'try again' using errcode = '40001'; end $$;
      create trigger never before insert on never for each row execute function never()`)
    const input = await dir.write('never.csv', 'k\n1\n')
    await expect(load({ input, to: db.url, table: 'never', retryFor: 500 })).rejects.toMatchObject({
      server: { sqlstate: '40001' },
    })
    await db.query('drop table never')
  })
})

describe('the command line', () => {
  test('names reasons and places, never values, and ends with 3 beyond the limit', async () => {
    const lines = Array.from(
      { length: 2000 },
      (_, i) => `${String(i)},${i % 200 === 9 ? 'secret' : '5'}\n`,
    )
    const file = await dir.write('told.csv', `id,n\n${lines.join('')}`)
    await db.query('create table told (id int, n int)')
    const args = ['load', file, '--to', db.url, '--table', 'told']
    const over = await runCli([...args, '--max-errors', '9'])
    expect(over.code).toBe(3)
    expect(over.stderr).toMatch(
      /10 rows were rejected, --max-errors allows 9 \[REJECTED_TOO_MANY\]/,
    )
    expect(over.stderr).toMatch(/10 x 22P02, column n: the first is record 11 \(line 11\)/)
    const within = await runCli([...args, '--max-errors', '0.5%'])
    expect(within.code).toBe(0)
    expect(within.stdout).toMatch(
      /10 rows were rejected, by earlier runs:\n {2}10 x 22P02, column n/,
    )
    const asJson = await runCli([...args, '--max-errors', '9', '--restart', '--json'])
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      error: {
        code: 'REJECTED_TOO_MANY',
        rejects: [{ code: '22P02', column: 'n', rows: 10, record: 11 }],
      },
    })
    for (const { stdout, stderr } of [over, within, asJson])
      expect(stdout + stderr).not.toMatch(/secret/)
    await db.query('drop table told')
  })
})
