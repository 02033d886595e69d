import { describe, expect, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { expectRefused, HEADER, ROWS, rowsText, useJobs } from '../helpers/interrupted-jobs.ts'
import { claimedRows, noBackendLeft, runLoad, startLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const jobs = useJobs(db, dir)

describe('the same command twice at once', () => {
  test('is run by one of them, and refused to the other within 2 s', async () => {
    const job = await jobs.make('at_once', 'given')
    await db.query(`
      create function wait() returns trigger language plpgsql as
      $$ begin if new.id % 1000 = 0 then perform pg_sleep(0.3); end if; return new; end $$;
      create trigger wait before insert on at_once for each row execute function wait()`)
    const args = [job.file, '--table', job.table, '--job', job.table, '--lanes', '1']
    // What it takes this machine, just now, to start a process and to fail.
    const start = await runLoad(db, [dir.path('missing.csv')])
    expect(start.report.error?.code).toBe('SOURCE_NOT_FOUND')
    const runs = await Promise.all([startLoad(db, args).ended, startLoad(db, args).ended])
    const [winner, loser] = runs.sort((a, b) => (a.code ?? 9) - (b.code ?? 9))
    expect(winner.code, winner.stderr).toBe(0)
    expect(loser.code, loser.stderr).toBe(4)
    expect(loser.report.error?.code).toBe('CHECKPOINT_HELD')
    expect(loser.seconds - start.seconds).toBeLessThan(2)
    expect(winner.seconds).toBeGreaterThan(loser.seconds)
    await job.expectExact()
    await noBackendLeft(db)
  })
})

describe('the same command after its success', () => {
  test.each(['own', 'given'] as const)('loads nothing and says when: table %s', async (table) => {
    const job = await jobs.make(`again_${table}`, table)
    expect((await job.run()).code).toBe(0)
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.status).toBe('already-complete')
    expect(run.report.rows).toMatchObject({ read: 0, loaded: 0 })
    expect(run.report.resumed.rows).toBe(ROWS)
    const completed = await db.value(
      `select completed_at from millrace.input join millrace.job on job.id = input.job where key = $1`,
      [job.table],
    )
    expect(run.report.completedAt).toBe((completed as Date).toISOString())
    await job.expectExact()
  })

  test('is told to a person too', async () => {
    const file = await dir.write('people_again.csv', HEADER + rowsText(1, 3))
    for (const said of [/3 rows/, /already|complete/]) {
      const run = await runCli(['load', file, '--to', db.url])
      expect(run.code, run.stderr).toBe(0)
      expect(run.stdout).toMatch(said)
    }
    expect(await db.value('select count(*)::int from people_again')).toBe(3)
  })

  test('into another table is another job', async () => {
    const file = await dir.write('two_tables.csv', HEADER + rowsText(1, 3))
    for (const table of ['two_tables_a', 'two_tables_b']) {
      const run = await runLoad(db, [file, '--table', table])
      expect(run.report.status, run.stderr).toBe('complete')
      expect(await db.value(`select count(*)::int from ${table}`)).toBe(3)
    }
  })
})

describe('a table that was changed between two runs', () => {
  const changes: [string, string, RegExp][] = [
    ['truncated', 'truncate $t', /is empty/],
    ['emptied', 'delete from $t', /is empty/],
    ['truncated_and_filled', `truncate $t; insert into $t values (1)`, /truncated or rewritten/],
    ['dropped', 'drop table $t', /is gone/],
    [
      'recreated',
      'create table copied as table $t; drop table $t; alter table copied rename to $t',
      /dropped and created again/,
    ],
    ['widened', 'alter table $t add column more int', /more integer/],
    ['narrowed', 'alter table $t drop column note', /note text/],
    ['retyped', 'alter table $t alter column price type float8', /price double precision/],
    ['renamed', 'alter table $t rename column note to remark', /remark text/],
  ]

  test.each(changes)('is refused for an interrupted job: %s', async (name, change, reason) => {
    const job = await jobs.interrupt(`t_${name}`, 'given')
    await job.unblock()
    await db.query(change.replaceAll('$t', job.table))
    const said = await expectRefused(db, job, 'CHECKPOINT_TARGET_CHANGED')
    expect(said).toMatch(reason)
    expect(said).toContain('--restart')
  })

  test.each([changes[0]!, changes[3]!, changes[4]!])(
    'is refused for a complete job, not taken for loaded: %s',
    async (name, change, reason) => {
      const job = await jobs.make(`done_${name}`, 'own')
      expect((await job.run()).code).toBe(0)
      await db.query(change.replaceAll('$t', job.table))
      expect(await expectRefused(db, job, 'CHECKPOINT_TARGET_CHANGED')).toMatch(reason)
    },
  )

  test('is gone on with when its rows are where they were: vacuumed, indexed, commented', async () => {
    const job = await jobs.interrupt('t_vacuumed', 'given')
    await job.unblock()
    await db.query(`vacuum full ${job.table}`)
    await db.query(`create index on ${job.table} (name)`)
    await db.query(`comment on column ${job.table}.note is 'a remark'`)
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact()
  })
})

describe('options that were changed between two runs', () => {
  const cases: ['own' | 'given', string, string[], RegExp][] = [
    ['given', 'delimiter', ['--delimiter', ';'], /delimiter/],
    ['own', 'delimiter', ['--delimiter', ';'], /delimiter/],
    ['given', 'quote', ['--quote', "'"], /quote/],
    ['given', 'null', ['--null', 'plain'], /null/i],
    ['given', 'header', ['--no-header'], /header/],
    ['given', 'columns', ['--columns', 'id,note,price,name'], /columns/],
    ['own', 'columns', ['--columns', 'id,note,price,name'], /columns/],
  ]

  test.each(cases)(
    'are refused by name: table %s, option %s',
    async (table, name, options, said) => {
      const job = await jobs.interrupt(`o_${table}_${name}`, table)
      await job.unblock()
      expect(await expectRefused(db, job, 'CHECKPOINT_OPTIONS_CHANGED', ...options)).toMatch(said)
      expect((await job.run()).code).toBe(0)
      await job.expectExact()
    },
  )

  test('are refused when another file comes under the name of the job', async () => {
    const job = await jobs.interrupt('o_file', 'given')
    await job.unblock()
    const file = await dir.write('o_other.csv', HEADER + rowsText(2, ROWS + 1))
    const before = await claimedRows(db, job.table)
    const run = await runLoad(db, [file, '--table', job.table, '--job', job.table])
    expect(run.code, run.stderr).toBe(4)
    expect(await claimedRows(db, job.table)).toBe(before)
  })

  test('are refused when the job is to go into another table', async () => {
    const job = await jobs.interrupt('o_table', 'given')
    await db.query('create table elsewhere (id int, name text, price numeric, note text)')
    const said = await expectRefused(
      db,
      job,
      'CHECKPOINT_TARGET_CHANGED',
      ...['--table', 'elsewhere'],
    )
    expect(said).toContain('public.elsewhere')
    expect(await db.value('select count(*)::int from elsewhere')).toBe(0)
  })

  test('may be the chunk size and the lanes, from run to run', async () => {
    const job = await jobs.interrupt('o_size', 'own')
    expect((await job.run('--chunk-size', '5KiB', '--lanes', '4')).code).toBe(1)
    await job.unblock()
    const run = await job.run('--chunk-size', '77777', '--lanes', '2')
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact()
  })
})

describe('status', () => {
  test('tells what an interrupted job has loaded and why it ended', async () => {
    const job = await jobs.interrupt('told', 'given')
    const run = await runCli(['status', job.table, '--to', db.url, '--json'])
    expect(run.code, run.stderr).toBe(0)
    const told = JSON.parse(run.stdout) as object | object[]
    expect([told].flat()[0]).toMatchObject({
      job: job.table,
      status: 'failed',
      error: 'TARGET_ROW_REFUSED',
      rows: await claimedRows(db, job.table),
    })
  })
})
