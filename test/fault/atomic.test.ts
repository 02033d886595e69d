import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { killBehind } from '../helpers/kills.ts'
import { backends, claimedRows, type RunningLoad, startLoad, until } from '../helpers/loads.ts'
import {
  loadReference,
  problemsOfServer,
  problemsOfTable,
  type Reference,
} from '../helpers/reference.ts'
import { stagedThings } from '../helpers/staged-jobs.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 200_000

const db = useDatabase()
const dir = useTempDir()
let reference: Reference

beforeAll(async () => {
  reference = await loadReference(db, dir.path('rows.csv'), ROWS, 1)
  await db.query(`
    create function wait_a_second() returns trigger language plpgsql as
      $$ begin perform pg_sleep(1); return null; end $$`)
})

afterAll(() => reference.client.end())

function start(table: string, ...more: string[]): RunningLoad {
  const args = [reference.file, '--table', table, '--job', table, '--chunk-size', '256KiB']
  return startLoad(db, [...args, '--atomic', ...more])
}

/** The rows that anybody sees; 0 for a table that is not there. */
async function visible(table: string): Promise<number> {
  const [row] = await db.query<{ there: boolean }>(
    `select to_regclass('${table}') is not null as there`,
  )
  return row!.there ? ((await db.value(`select count(*)::int from ${table}`)) as number) : 0
}

async function expectExact(table: string): Promise<void> {
  expect(await problemsOfTable(table, reference)).toEqual([])
  expect(await problemsOfServer(reference.client)).toEqual([])
  expect(await stagedThings(db)).toEqual([])
  await db.query(`drop table ${table}`)
}

/** A table whose publication takes a second more, once its rows are in. */
async function slowTable(table: string): Promise<void> {
  await db.query(`create table ${table} (like reference, unique (id));
    create trigger waits after insert on ${table} for each statement execute function wait_a_second()`)
}

/** Waits until the rows are inserted into the target, in a transaction that is still open. */
function publishing(table: string): Promise<void> {
  return until('the rows are being published', async () =>
    (await backends(db)).some(({ query }) => query.startsWith(`insert into "public"."${table}"`)),
  )
}

describe('an atomic load that is killed', () => {
  test.each(['given', 'own'])(
    'while it stages: no row is seen, then all, each once: table %s',
    async (kind) => {
      const table = `killed_${kind}`
      if (kind === 'given')
        await db.query(`create table ${table} (like reference, primary key (id))`)
      for (const share of [0, 0.3, 0.6]) {
        const load = start(table, '--lanes', share === 0 ? '1' : '3', '--chunk-size', '32KiB')
        expect((await killBehind(db, table, share * ROWS, load)).signal).toBe('SIGKILL')
        expect(await visible(table)).toBe(0)
        expect(await claimedRows(db, table)).toBeGreaterThan(share * ROWS)
      }
      expect((await start(table).ended).code).toBe(0)
      await expectExact(table)
    },
  )

  test('within its publication: nothing is seen, and the next run publishes at once', async () => {
    await slowTable('within')
    const load = start('within')
    await publishing('within')
    load.process.kill('SIGKILL')
    await load.ended
    expect(await visible('within')).toBe(0)
    const run = await start('within').ended
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(0)
    await expectExact('within')
  })

  test.each(['given', 'own'])(
    'just when its rows are seen: the next run has nothing to do: table %s',
    async (kind) => {
      const table = `seen_${kind}`
      if (kind === 'given') await db.query(`create table ${table} (like reference)`)
      // The publication is committed, and the run cannot note its end.
      await db.query(`create or replace function hold() returns trigger language plpgsql as
      $$ begin if new.status <> old.status then perform pg_sleep(3); end if; return new; end $$;
      create trigger holds before update on millrace.run for each row execute function hold()`)
      const load = start(table)
      try {
        await until('rows are seen', async () => (await visible(table)) > 0)
      } finally {
        load.process.kill('SIGKILL')
        await load.ended
        await db.query('drop trigger holds on millrace.run')
      }
      const run = await start(table).ended
      expect(run.report.status, run.stderr).toBe('already-complete')
      await expectExact(table)
    },
  )
})

describe('an atomic load that is stopped or disturbed', () => {
  test('while rows are staged: nothing is seen; the next run goes on', async () => {
    const load = start('stopped', '--lanes', '1')
    await until(
      'some rows are staged',
      async () => (await claimedRows(db, 'stopped').catch(() => 0)) > 0,
    )
    load.process.kill('SIGTERM')
    expect((await load.ended).code).toBe(143)
    expect(await visible('stopped')).toBe(0)
    const run = await start('stopped').ended
    expect(run.report.resumed.rows, run.stderr).toBeGreaterThan(0)
    await expectExact('stopped')
  })

  test('within its publication: it is rolled back within a second, nothing is seen', async () => {
    await slowTable('stopped_within')
    await db.query('drop trigger waits on stopped_within')
    await db.query(`
      create or replace function wait_long() returns trigger language plpgsql as
        $$ begin perform pg_sleep(60); return null; end $$;
      create trigger waits after insert on stopped_within for each statement execute function wait_long()`)
    const load = start('stopped_within')
    await publishing('stopped_within')
    const began = performance.now()
    load.process.kill('SIGINT')
    const run = await load.ended
    expect([run.code, run.report.error?.code], run.stderr).toEqual([130, 'RUN_ABORTED'])
    expect(performance.now() - began).toBeLessThan(3000)
    expect(await problemsOfServer(reference.client)).toEqual([])
    expect(await visible('stopped_within')).toBe(0)
    await db.query('drop trigger waits on stopped_within')
    expect((await start('stopped_within').ended).code).toBe(0)
    await expectExact('stopped_within')
  })

  test('by the loss of its connection within the publication: it publishes once over another', async () => {
    await slowTable('cut')
    const load = start('cut')
    await publishing('cut')
    await db.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where query like 'insert into "public"."cut"%'`,
    )
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toContain('the publication was held up')
    await expectExact('cut')
  })

  test('by another run that has taken the job over: it does not publish', async () => {
    await slowTable('taken_over')
    const load = start('taken_over', '--lanes', '1')
    await until(
      'rows are staged',
      async () => (await claimedRows(db, 'taken_over').catch(() => 0)) > ROWS / 2,
    )
    load.process.kill('SIGSTOP')
    await db.query(
      `update millrace.run set heartbeat_at = now() - interval '1 minute' where status = 'running'`,
    )
    const other = await start('taken_over').ended
    load.process.kill('SIGCONT')
    const first = await load.ended
    expect(other.code, other.stderr).toBe(0)
    expect([first.code, first.report.error?.code], first.stderr).toEqual([4, 'CHECKPOINT_FENCED'])
    await expectExact('taken_over')
  })
})

describe('a reader beside an atomic load', () => {
  test.each(['given', 'own'])('sees no row or all of them at any time: table %s', async (kind) => {
    const table = `read_${kind}`
    if (kind === 'given') await db.query(`create table ${table} (like reference)`)
    const load = start(table)
    let ended = false
    void load.ended.then(() => (ended = true))
    const seen = new Map<number, number>()
    while (!ended) {
      const rows = await visible(table)
      seen.set(rows, (seen.get(rows) ?? 0) + 1)
      await sleep(2)
    }
    expect((await load.ended).code).toBe(0)
    seen.set(await visible(table), 1)
    expect([...seen.keys()].sort((a, b) => a - b)).toEqual([0, ROWS])
    expect(seen.get(0)).toBeGreaterThan(10)
    await expectExact(table)
  })
})
