import { once } from 'node:events'
import { Pool } from 'pg'
import { describe, expect, test } from 'vitest'
import { load, quality, type Summary, tableWriter } from '../../dist/index.js'
import {
  countMixed,
  type Expected,
  MIXED_TABLE,
  mixedRows,
  readRejects,
} from '../helpers/bad-rows.ts'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { claimedRows, noBackendLeft, runLoad } from '../helpers/loads.ts'
import { ROWS, stagedJob, stagedThings } from '../helpers/staged-jobs.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const PLAIN = '(id int primary key, label text)'

describe('a load with --atomic', () => {
  test('makes a table that is there when all rows are', async () => {
    const job = await stagedJob(db, dir, 'own')
    await job.stage()
    expect(await job.published()).toBeNull()
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    expect(run.report).toMatchObject({ status: 'complete', atomic: true, resumed: { rows: ROWS } })
    expect(await job.published()).toBe(ROWS)
    expect(await stagedThings(db)).toEqual([])
    await noBackendLeft(db)
  })

  test('leaves what the table had, and tells of all rows that it has published', async () => {
    const job = await stagedJob(db, dir, 'given')
    await db.query(`create table given ${PLAIN}; insert into given values (-1, 'before')`)
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows).toMatchObject({ loaded: ROWS, rejected: 30 })
    expect(await job.published()).toBe(ROWS)
    expect(await db.value('select count(*)::int from given')).toBe(ROWS + 1)
    expect(await stagedThings(db)).toEqual([])
  })

  test('says so to a person', async () => {
    const file = await dir.write('people.csv', 'id\n1\n2\n')
    const run = await runCli(['load', file, '--to', db.url, '--atomic'])
    expect(run.stdout).toContain('published all at once')
  })

  test('loads nothing when it is run again', async () => {
    const job = await stagedJob(db, dir, 'again')
    await job.run()
    const run = await job.run()
    expect(run.report.status, run.stderr).toBe('already-complete')
    expect(await job.published()).toBe(ROWS)
    expect(await stagedThings(db)).toEqual([])
  })

  test('needs no more connections of a pool than one without it', async () => {
    const job = await stagedJob(db, dir, 'pooled')
    const pool = new Pool({ connectionString: db.url, max: 2 })
    const options = {
      input: job.file,
      to: pool,
      table: 'pooled',
      maxErrors: '5%',
      atomic: true,
    } as const
    const summary = await load(options).finally(() => pool.end())
    expect(summary).toMatchObject({ status: 'complete', atomic: true, lanes: 1 })
    expect(await job.published()).toBe(ROWS)
  })

  test('publishes an empty input', async () => {
    const file = await dir.write('nothing.csv', 'id,label\n')
    const run = await runLoad(db, [file, '--table', 'nothing', '--atomic'])
    expect(run.report.status, run.stderr).toBe('complete')
    expect(await db.value('select count(*)::int from nothing')).toBe(0)
  })

  test('publishes what was added to a file, all at once too', async () => {
    const file = await dir.write('grown.csv', 'id,label\n1,a\n2,b\n')
    const args = ['--table', 'grown', '--job', 'grown', '--atomic']
    expect((await runLoad(db, [file, ...args])).code).toBe(0)
    await dir.write('grown.csv', 'id,label\n1,a\n2,b\n3,c\n4\n')
    const stopped = await runLoad(db, [file, ...args, '--appended'])
    expect(stopped.report.error?.code).toBe('SOURCE_BAD_ROW')
    expect(await db.value('select count(*)::int from grown')).toBe(2)
    const run = await runLoad(db, [file, ...args, '--appended', '--max-errors', '1'])
    expect(run.code, run.stderr).toBe(0)
    expect(await db.query('select * from grown order by id')).toEqual([
      { id: 1, label: 'a' },
      { id: 2, label: 'b' },
      { id: 3, label: 'c' },
    ])
    expect((await runLoad(db, [file, ...args])).report.status).toBe('already-complete')
    expect(await stagedThings(db)).toEqual([])
  })

  test('loads a stream, whose later values widen a column that is staged', async () => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `${String(i)},${'x'.repeat(2000)}`)
    const input = `id,label\n${lines.join('\n')}\nlast,one\n`
    const args = ['-', '--table', 'streamed', '--job', 'streamed', '--atomic']
    const run = await runLoad(db, args, { input })
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value(`select count(*)::int from streamed where id <> 'x'`)).toBe(40_001)
    const again = await runLoad(db, args, { input })
    expect(again.report.status, again.stderr).toBe('already-complete')
    expect(await db.value('select count(*)::int from streamed')).toBe(40_001)
    expect(await stagedThings(db)).toEqual([])
  })
})

describe('nothing is published', () => {
  test.each(['own', 'given'])('of too many rejects; allowed, they are: table %s', async (kind) => {
    const job = await stagedJob(db, dir, `limit_${kind}`)
    if (kind === 'given') await db.query(`create table limit_given ${PLAIN}`)
    await job.stage()
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(0)
    expect(await job.published()).toBe(ROWS)
  })

  test('when a rule of quality is broken', async () => {
    const job = await stagedJob(db, dir, 'ruled')
    const judged = (least: number): Promise<Summary> =>
      load({
        ...{ input: job.file, to: db.url, table: 'ruled', atomic: true, maxErrors: '5%' },
        stages: [quality({ rows: { min: least } })],
      })
    await expect(judged(1_000_000)).rejects.toMatchObject({
      code: 'QUALITY_FAILED',
      hint: expect.stringContaining('nothing was published') as string,
    })
    expect(await job.published()).toBeNull()
    expect(await judged(ROWS)).toMatchObject({ status: 'complete', atomic: true, chunks: 0 })
    expect(await job.published()).toBe(ROWS)
  })

  test('when a row ends the load; the run that goes on publishes all', async () => {
    const job = await stagedJob(db, dir, 'held_up')
    await db.query(`create table held_known (id int primary key);
      insert into held_known select generate_series(1, 1500);
      create table held_up (id int references held_known, label text)`)
    const first = await job.run('--max-errors', '10', '--lanes', '1')
    expect(first.code, first.stderr).toBe(3)
    const staged = await claimedRows(db, 'held_up')
    expect(staged).toBeGreaterThan(1000)
    expect(await job.published()).toBe(0)
    expect(await job.staging()).toMatch(/^millrace.staging_\d+$/)
    const again = await job.run('--max-errors', '1000')
    expect(again.code, again.stderr).toBe(0)
    expect(again.report.resumed.rows).toBe(staged)
    expect(await job.published()).toBe(again.report.rows.loaded + staged)
  })

  test('and status shows where the rows are', async () => {
    const job = await stagedJob(db, dir, 'shown')
    await job.stage()
    const staging = await job.staging()
    const told = await runCli(['status', 'shown', '--to', db.url, '--json'])
    expect(JSON.parse(told.stdout)).toMatchObject([{ status: 'failed', rows: ROWS, staging }])
    expect((await runCli(['status', 'shown', '--to', db.url])).stdout).toContain(
      `staged in ${staging!}`,
    )
    await job.run()
    const after = await runCli(['status', 'shown', '--to', db.url, '--json'])
    expect(JSON.parse(after.stdout)).toMatchObject([{ status: 'complete', staging: null }])
  })
})

describe('--atomic belongs to the job', () => {
  test('one begun with it is not gone on with without it, but begun anew', async () => {
    const job = await stagedJob(db, dir, 'begun_with')
    await job.stage()
    const plain = [job.file, '--table', job.table, '--job', job.table, '--max-errors', '5%']
    const refused = await runLoad(db, plain)
    expect(refused.code).toBe(4)
    expect(refused.report.error).toMatchObject({
      code: 'CHECKPOINT_OPTIONS_CHANGED',
      message: expect.stringContaining('begun with --atomic') as string,
    })
    const anew = await runLoad(db, [...plain, '--restart'])
    expect(anew.code, anew.stderr).toBe(0)
    expect(await job.published()).toBe(ROWS)
    expect(await stagedThings(db)).toEqual([])
  })

  test('nor is it by a tableWriter, but begun anew', async () => {
    const job = await stagedJob(db, dir, 'written')
    await job.stage('--lanes', '1')
    const options = { to: db.url, table: 'written', job: 'written' } as const
    await expect(tableWriter(options)).rejects.toMatchObject({ code: 'CHECKPOINT_OPTIONS_CHANGED' })
    const writer = await tableWriter({ ...options, resume: 'restart' })
    writer.destroy()
    await once(writer, 'close')
    expect(await stagedThings(db)).toEqual([])
    await noBackendLeft(db)
  })

  test('one begun without it is not gone on with with it', async () => {
    const job = await stagedJob(db, dir, 'begun_without')
    await runLoad(db, [job.file, '--table', job.table, '--job', job.table, '--max-errors', '5%'])
    const refused = await job.run()
    expect([refused.code, refused.report.error?.code]).toEqual([4, 'CHECKPOINT_OPTIONS_CHANGED'])
    expect(refused.report.error?.message).toContain('begun without --atomic')
  })

  test.each(['own', 'given'])('--restart drops what is staged: table %s', async (kind) => {
    const job = await stagedJob(db, dir, `anew_${kind}`)
    if (kind === 'given') {
      await db.query(`create table anew_given ${PLAIN}; insert into anew_given values (0, 'x')`)
    }
    await job.stage()
    const staging = await db.value(`select $1::regclass::oid::int`, [await job.staging()])
    await job.stage('--restart')
    expect(await db.value(`select $1::regclass::oid::int`, [await job.staging()])).not.toBe(staging)
    expect((await job.run()).code).toBe(0)
    expect(await job.published()).toBe(ROWS)
    expect(await stagedThings(db)).toEqual([])
  })
})

describe('rows that the table would refuse', () => {
  const { bytes, bad, good } = mixedRows(20_000, (row) => row % 131 === 130)
  type Kept = Expected & { readonly message: string }

  async function rejectsOf(job: string, ...more: string[]): Promise<Kept[]> {
    await db.query('drop table if exists mixed, modes; drop domain if exists percent')
    await db.query(MIXED_TABLE)
    const file = await dir.write('mixed.csv', bytes)
    const args = [file, '--table', 'mixed', '--job', job, '--chunk-size', '128KiB']
    const run = await runLoad(db, [...args, '--max-errors', '5%', ...more])
    expect(run.code, run.stderr).toBe(0)
    const counts = { rows: good, ids: good, loaded: good, rejected: bad.length, read: 20_000 }
    expect(await countMixed(db, job)).toEqual(counts)
    const messages = await db.query<{ message: string }>(
      `select message from millrace.reject where job = (select id from millrace.job where key = $1) order by byte`,
      [job],
    )
    return (await readRejects(db, job)).map((one, i) => ({ ...one, ...messages[i]! }))
  }

  test('are rejects with the reasons that a load without --atomic has, word for word', async () => {
    const plain = await rejectsOf('mixed plain')
    const atomic = await rejectsOf('mixed atomic', '--atomic')
    expect(atomic).toEqual(plain)
    expect(atomic.map(({ message: _, ...one }) => one)).toEqual(bad)
  })

  test.each([
    ['a partial unique index', 'unique index k_part on $t (id) where id > 10', '23505', 'k_part'],
    [
      'a unique index over an expression',
      'unique index k_upper on $t (upper(label))',
      '23505',
      'k_upper',
    ],
  ])('for what the table has, under %s', async (_, index, code, constraint) => {
    const table = `has_${constraint}`
    const job = await stagedJob(db, dir, table)
    await db.query(`create table ${table} (id int, label text); create ${index.replaceAll('$t', table)};
      insert into ${table} values (5, 'LABEL 5'), (500, 'LABEL 500')`)
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    const rejects = await db.query(
      `select code, constraint_name from millrace.reject r join millrace.job j on j.id = r.job
        where j.key = $1 and code <> 'SOURCE_BAD_ROW'`,
      [table],
    )
    const conflicting = index.includes('where') ? 1 : 2
    expect(rejects).toEqual(Array(conflicting).fill({ code, constraint_name: constraint }))
    expect(await job.published()).toBe(ROWS - conflicting)
  })

  test('under an exclusion constraint, against each other and against the table', async () => {
    await db.query(`create table spans (span int4range, exclude using gist (span with &&));
      insert into spans values ('[100,110)')`)
    const file = await dir.write('spans.csv', 'span\n"[1,5)"\n"[4,8)"\n"[105,106)"\n"[20,30)"\n')
    const run = await runLoad(db, [file, '--table', 'spans', '--atomic', '--max-errors', '2'])
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value('select count(*)::int from spans')).toBe(3)
    const reasons = [{ code: '23P01', constraint: 'spans_span_excl', rows: 2 }]
    expect(run.report).toMatchObject({ rejects: reasons })
  })

  test('for want of a partition', async () => {
    await db.query(`create table parts (id int not null, label text, primary key (id)) partition by range (id);
      create table parts_a partition of parts for values from (1) to (1001);
      create table parts_b partition of parts for values from (1001) to (1901)`)
    const job = await stagedJob(db, dir, 'parts')
    const run = await job.run('--max-errors', '200')
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows).toMatchObject({ loaded: 1900, rejected: 130 })
    expect(await db.value('select count(*)::int from parts_b')).toBe(900)
  })
})

describe('a table of every kind', () => {
  test('gets the values that only it can give once each, and its triggers fire once for each row', async () => {
    await db.query(`
      create table every (
        number int generated always as identity primary key,
        id int unique, label text,
        serial serial, stamp timestamptz not null default clock_timestamp(), note text default 'new',
        double int generated always as (id * 2) stored, twice int generated always as (id + 1) stored check (twice > 1));
      create table fired (id int);
      create function fire() returns trigger language plpgsql as
        $$ begin insert into fired values (new.id); return null; end $$;
      create trigger fires after insert on every for each row execute function fire()`)
    const job = await stagedJob(db, dir, 'every')
    await job.stage()
    expect(await db.value('select count(*)::int from fired')).toBe(0)
    expect((await job.run()).code).toBe(0)
    expect(
      await db.query(`select count(distinct number)::int as numbers, max(number) as number, max(serial) as serial,
        count(distinct serial)::int as serials, bool_and(double = id * 2 and twice = id + 1 and note = 'new') as right,
        count(distinct stamp)::int > 1 as stamps, (select count(*)::int from fired) as fired from every`),
    ).toEqual([
      {
        numbers: ROWS,
        number: ROWS,
        serial: ROWS,
        serials: ROWS,
        right: true,
        stamps: true,
        fired: ROWS,
      },
    ])
    expect(await db.value(`select nextval('every_serial_seq')::int`)).toBe(ROWS + 1)
  })

  test('may have any name', async () => {
    await db.query(
      `create schema "Odd ""one"""; create table "Odd ""one"""."T.able $millrace$" ("I d" int primary key, label text)`,
    )
    const file = await dir.write('odd.csv', 'I d,label\n1,a\n1,b\n')
    const args = ['--table', '"Odd ""one"""."T.able $millrace$"', '--atomic', '--max-errors', '1']
    const run = await runLoad(db, [file, ...args, '--state-schema', 'Its "state"'])
    expect(run.code, run.stderr).toBe(0)
    expect(run.report).toMatchObject({ rejects: [{ constraint: 'T.able $millrace$_pkey' }] })
  })

  test('may be dropped while rows are staged for it, whatever it has', async () => {
    await db.query('create table free (id serial primary key, label text)')
    const job = await stagedJob(db, dir, 'free')
    await job.stage()
    await db.query('drop table free')
    expect((await job.run()).code).toBe(4)
  })

  test('that the job creates has the default privileges of its schema', async () => {
    await db.query(
      `create role guest_of_atomic; alter default privileges in schema public grant select on tables to guest_of_atomic`,
    )
    try {
      const job = await stagedJob(db, dir, 'privileged')
      await job.run()
      expect(
        await db.value(`select has_table_privilege('guest_of_atomic', 'privileged', 'select')`),
      ).toBe(true)
    } finally {
      await db.query(`drop owned by guest_of_atomic; drop role guest_of_atomic`)
    }
  })

  test('with triggers that change rows takes what they make of them', async () => {
    await db.query(`
      create table mended (id int not null check (id <> 7), label text not null);
      create function mend() returns trigger language plpgsql as
        $$ begin new.id = coalesce(nullif(new.id, 7), 0); return new; end $$;
      create trigger mends before insert on mended for each row execute function mend()`)
    const job = await stagedJob(db, dir, 'mended')
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toContain('triggers of the table may change rows')
    expect(await db.value('select count(*)::int from mended where id = 0')).toBe(1)
  })

  test('is loaded by a role that may do no more than read and insert', async () => {
    await db.query(`
      create role loader_of_atomic login password 'l';
      grant create on database ${new URL(db.url).pathname.slice(1)} to loader_of_atomic;
      create schema its_state authorization loader_of_atomic;
      create table unread (key text primary key); insert into unread values ('label 1');
      create table narrow (id int primary key, label text, owner text default current_user check (owner <> ''));
      grant select on narrow to loader_of_atomic; grant insert (id, label) on narrow to loader_of_atomic;
      alter table narrow add column more text references unread default 'label 1'`)
    const url = new URL(db.url)
    url.username = 'loader_of_atomic'
    url.password = 'l'
    try {
      const file = await dir.write('narrow.csv', 'id,label\n1,a\n1,b\n2,c\n')
      const args = [
        'load',
        file,
        '--to',
        url.href,
        '--table',
        'narrow',
        '--state-schema',
        'its_state',
      ]
      const run = await runCli([...args, '--atomic', '--max-errors', '1'])
      expect(run.code, run.stderr).toBe(0)
      expect(await db.query('select id, owner, more from narrow order by id')).toEqual([
        { id: 1, owner: 'loader_of_atomic', more: 'label 1' },
        { id: 2, owner: 'loader_of_atomic', more: 'label 1' },
      ])
      await db.query('alter table narrow enable row level security')
      const secured = await runCli([...args, '--atomic', '--restart'])
      expect([secured.code, secured.stderr]).toEqual([
        1,
        expect.stringContaining('row-level security'),
      ])
    } finally {
      await db.query('drop owned by loader_of_atomic; drop role loader_of_atomic')
    }
  })

  test('with rules is refused before a row is staged', async () => {
    await db.query(`create table ruled_out (id int, label text);
      create rule r as on insert to ruled_out do instead nothing`)
    const job = await stagedJob(db, dir, 'ruled_out')
    const run = await job.run()
    expect([run.code, run.report.error?.code]).toEqual([1, 'TARGET_REFUSED'])
    expect(run.report.error?.message).toContain('a rule for INSERT')
    expect(await job.staging()).toBeNull()
  })
})

describe('a table that was changed while rows are staged', () => {
  const changes: [string, string, RegExp][] = [
    ['dropped', 'drop table $t', /is gone/],
    ['recreated', `drop table $t; create table $t ${PLAIN}`, /dropped and created again/],
    ['retyped', 'alter table $t alter column id type bigint', /id bigint/],
    ['narrowed', 'alter table $t drop column label', /label/],
  ]

  test.each(changes)('is refused: %s', async (name, change, reason) => {
    const table = `change_${name}`
    const job = await stagedJob(db, dir, table)
    await db.query(`create table ${table} ${PLAIN}`)
    await job.stage()
    await db.query(change.replaceAll('$t', table))
    const run = await job.run()
    expect([run.code, run.report.error?.code], run.stderr).toEqual([4, 'CHECKPOINT_TARGET_CHANGED'])
    expect(run.report.error?.message).toMatch(reason)
  })

  test('is refused when somebody has taken the name of the table to be', async () => {
    const job = await stagedJob(db, dir, 'taken')
    await job.stage()
    await db.query(`create table taken ${PLAIN}`)
    const run = await job.run()
    expect([run.code, run.report.error?.code]).toEqual([4, 'CHECKPOINT_TARGET_CHANGED'])
    expect(run.report.error?.message).toContain('created by somebody else')
    expect(await job.published()).toBe(0)
  })

  test.each(['drop table $s cascade', 'truncate $s'])(
    'is refused for the staging table too: %s',
    async (change) => {
      const job = await stagedJob(db, dir, `lost_${String(change.length)}`)
      await job.stage()
      await db.query(change.replace('$s', (await job.staging())!))
      const run = await job.run()
      expect([run.code, run.report.error?.code]).toEqual([4, 'CHECKPOINT_TARGET_CHANGED'])
      expect(await job.published()).toBeNull()
    },
  )

  test('so that a row is against it keeps all out, until that is mended', async () => {
    await db.query(`create table raced ${PLAIN}`)
    const job = await stagedJob(db, dir, 'raced')
    await job.stage()
    await db.query(`insert into raced values (77, 'theirs')`)
    const run = await job.run()
    expect([run.code, run.report.error?.code]).toEqual([1, 'TARGET_REFUSED'])
    expect(run.report.error?.message).toContain('raced_pkey')
    expect(run.report.error?.hint).toContain('--restart')
    expect(await job.published()).toBe(0)
    await db.query('delete from raced')
    expect((await job.run()).code).toBe(0)
    expect(await job.published()).toBe(ROWS)
  })
})
