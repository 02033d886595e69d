import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { type CliResult, runCli, type RunningCli, startCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { noBackendLeft, runLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 12_000
const JOB = 'killed replay'

const db = useDatabase()
const dir = useTempDir()

const replayArgs = (): string[] => ['rejects', 'replay', JOB, '--to', db.url, '--json']

/** All rows are rejected for a key that is not there; then those of even rows come to be there. */
async function rejectAll(): Promise<void> {
  await db.query(`create table customers (name text primary key);
    create table orders (id int primary key, customer text references customers)`)
  const file = dir.path('orders.csv')
  const args = [file, '--table', 'orders', '--job', JOB, '--max-errors', '100%']
  const load = await runLoad(db, args)
  expect(load.code, load.stderr).toBe(0)
  await db.query(`insert into customers values ('even')`)
}

/** As if nothing was replayed yet. */
async function forgetReplays(): Promise<void> {
  await db.query(`delete from orders;
    update millrace.reject set replayed_at = null, replayed_by = null, replayed_rows = null, run = 1`)
}

/** What is in the table, and what is known of the rejects. */
function counts(): Promise<object[]> {
  return db.query(
    `select (select count(*)::int from orders) as rows, (select count(distinct id)::int from orders) as ids,
            count(*)::int as rejects, count(replayed_at)::int as replayed, sum(replayed_rows)::int as loaded,
            count(distinct byte)::int as records from millrace.reject`,
  )
}

async function loaded(): Promise<number> {
  return (await db.value('select count(replayed_at)::int from millrace.reject')) as number
}

const EXACT = {
  rows: ROWS / 2,
  ids: ROWS / 2,
  rejects: ROWS,
  replayed: ROWS / 2,
  loaded: ROWS / 2,
  records: ROWS,
}

beforeAll(async () => {
  const lines = Array.from(
    { length: ROWS },
    (_, i) => `${String(i)},${i % 2 === 0 ? 'even' : 'odd'}\n`,
  )
  await dir.write('orders.csv', `id,customer\n${lines.join('')}`)
  await rejectAll()
  const run = await runCli(replayArgs())
  expect(run.code, run.stderr).toBe(0)
  expect(await counts()).toEqual([EXACT])
})

describe('a replay that is killed', () => {
  test.each([
    ['at once', -1],
    ['behind its first rows', 0],
    ['behind half of its rows', ROWS / 4],
  ])('%s loads every row once', async (_, rows) => {
    await forgetReplays()
    const killed = startCli(replayArgs())
    await until('it has come so far', async () => (await loaded()) > rows)
    killed.process.kill('SIGKILL')
    await killed.result
    await noBackendLeft(db)
    const [between] = (await counts()) as { rows: number; replayed: number }[]
    expect(between).toMatchObject({ rows: between!.replayed })
    expect(between!.rows).toBeGreaterThan(rows)
    expect(between!.rows).toBeLessThan(ROWS / 2)
    const again = await runCli(replayArgs())
    expect(again.code, again.stderr).toBe(0)
    expect(await counts()).toEqual([EXACT])
  })
})

describe('two replays at once', () => {
  test('load every row once: one of them is told to wait', async () => {
    await forgetReplays()
    const runs: CliResult[] = await Promise.all([runCli(replayArgs()), runCli(replayArgs())])
    expect(runs.map(({ code }) => code).sort()).toEqual([0, 4])
    expect(runs.find(({ code }) => code === 4)!.stdout).toContain('CHECKPOINT_HELD')
    expect(await counts()).toEqual([EXACT])
  })
})

/** Starts a replay, and waits until it is held up in its first batch. */
async function startHeldUp(): Promise<{
  running: RunningCli
  lanes: string
  letGo(): Promise<void>
}> {
  const holder = new Client({ connectionString: db.url })
  await holder.connect()
  await holder.query('begin; lock table orders in exclusive mode')
  const running = startCli(replayArgs())
  const lanes = `select pid from pg_stat_activity
                  where datname = current_database() and application_name like 'millrace lane%'`
  const waiting = `${lanes} and wait_event_type = 'Lock'`
  await until('it waits', async () => (await db.query(waiting)).length > 0)
  return { running, lanes, letGo: () => holder.end() }
}

describe('a replay that is stopped', () => {
  test('ends within 10 s, also where it waits for the server, and is gone on with', async () => {
    await forgetReplays()
    const { running, letGo } = await startHeldUp()
    const began = performance.now()
    running.process.kill('SIGTERM')
    const run = await running.result
    expect(run.code, run.stderr).toBe(143)
    expect(run.stdout).toContain('RUN_ABORTED')
    expect(performance.now() - began).toBeLessThan(11_000)
    await letGo()
    await noBackendLeft(db)
    expect(await counts()).toMatchObject([{ rows: 0, replayed: 0 }])
    expect((await runCli(replayArgs())).code).toBe(0)
    expect(await counts()).toEqual([EXACT])
  })
})

describe('a replay whose connection is lost', () => {
  test('goes on over another one, and loads every row once', async () => {
    await forgetReplays()
    const { running, lanes, letGo } = await startHeldUp()
    await db.query(`select pg_terminate_backend(pid) from (${lanes}) as lane`)
    await letGo()
    const run = await running.result
    expect(run.code, run.stderr).toBe(0)
    expect(JSON.parse(run.stdout)).toMatchObject({ replayed: ROWS / 2, refused: ROWS / 2 })
    expect(await counts()).toEqual([EXACT])
  })
})
