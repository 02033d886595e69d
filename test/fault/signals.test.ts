import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { useDisturbedLoads } from '../helpers/disturbed-loads.ts'
import {
  backends,
  claimedRows,
  noBackendLeft,
  type RunningLoad,
  runLoad,
  startLoad,
  startOpenLoad,
  until,
} from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const loads = useDisturbedLoads(db, dir)

describe.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s', (signal, code) => {
  const name = signal.toLowerCase()

  test(`${signal} stops a load within 10 s, and it can be gone on with`, async () => {
    const table = `${name}_once`
    await loads.makeTable(table, 'slow')
    const load = startLoad(db, loads.argsOf(table))
    await loads.inTheMiddle(table)
    const seconds = await stop(load, signal)
    const run = await load.ended
    expect(run.code, run.stderr).toBe(code)
    expect(seconds()).toBeLessThan(10)
    expect(run.report.status).toBe('interrupted')
    expect(run.report.error?.code).toBe('RUN_ABORTED')
    await noBackendLeft(db)
    expect(await claimedRows(db, table)).toBeLessThan(loads.rows)
    const noted = await db.value(
      `select run.status from millrace.run join millrace.job on job.id = run.job where key = $1`,
      [table],
    )
    expect(noted).toBe('interrupted')
    await loads.expectResumes(table)
  })

  test(`${signal} twice ends a load at once, also when the server does not answer`, async () => {
    const table = `${name}_twice`
    await loads.makeTable(table, 'fast')
    await loads.other.query(`begin; lock table ${table} in share row exclusive mode`)
    const load = startLoad(db, loads.argsOf(table))
    await until('the lanes wait', async () => (await loads.lockWaits()) === 3)
    await stop(load, signal)
    await sleep(300)
    expect(load.process.exitCode).toBeNull()
    const seconds = await stop(load, signal)
    const run = await load.ended
    expect(run.code).toBe(code)
    expect(seconds()).toBeLessThan(1)
    await loads.other.query('commit')
    await noBackendLeft(db)
    await loads.expectResumes(table)
  })
})

/** Sends a signal; gives a clock that tells the seconds since. */
async function stop(load: RunningLoad, signal: NodeJS.Signals): Promise<() => number> {
  const began = performance.now()
  load.process.kill(signal)
  let ended: number | null = null
  void load.ended.then(() => (ended = performance.now()))
  await sleep(0)
  return () => ((ended ?? performance.now()) - began) / 1000
}

describe('a load that is told to stop', () => {
  test('does so within 10 s when the server does not answer its COPY', async () => {
    await loads.makeTable('stuck', 'fast')
    await loads.other.query('begin; lock table stuck in share row exclusive mode')
    const load = startLoad(db, loads.argsOf('stuck'))
    await until('the lanes wait', async () => (await loads.lockWaits()) === 3)
    const seconds = await stop(load, 'SIGINT')
    const run = await load.ended
    expect(run.code, run.stderr).toBe(130)
    expect(seconds()).toBeLessThan(10)
    await loads.other.query('commit')
    await loads.expectResumes('stuck')
  })

  test('does so within 10 s when the server does not answer while the run is prepared', async () => {
    await loads.makeTable('stuck_before', 'fast')
    await db.query('alter table stuck_before add constraint no_19000 check (id <> 19000)')
    expect((await runLoad(db, loads.argsOf('stuck_before'))).code).toBe(1)
    await db.query('alter table stuck_before drop constraint no_19000')

    await loads.other.query('begin; lock table stuck_before in access exclusive mode')
    const load = startLoad(db, loads.argsOf('stuck_before'))
    try {
      await until('the run waits', async () =>
        (await backends(db)).some(({ waits }) => waits === 'Lock'),
      )
      const seconds = await stop(load, 'SIGINT')
      await until('the load has ended', () => load.process.exitCode !== null, 11)
      expect((await load.ended).code).toBe(130)
      expect(seconds()).toBeLessThan(10)
    } finally {
      load.process.kill('SIGKILL')
      await loads.other.query('commit')
    }
    await loads.expectResumes('stuck_before')
  })

  test('does so within 10 s when standard input gives nothing', async () => {
    await loads.makeTable('silent_input', 'fast')
    const load = startOpenLoad(db, ['--table', 'silent_input', '--job', 'silent_input'])
    try {
      load.process.stdin!.write(await readFile(loads.file))
      await until('the load has begun', async () => (await backends(db)).length > 0)
      await sleep(500)
      const seconds = await stop(load, 'SIGTERM')
      await until('the load has ended', () => load.process.exitCode !== null, 11)
      expect((await load.ended).code).toBe(143)
      expect(seconds()).toBeLessThan(10)
    } finally {
      load.process.kill('SIGKILL')
    }
    await noBackendLeft(db)
  })
})
