import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { useDisturbedLoads } from '../helpers/disturbed-loads.ts'
import {
  backends,
  claimedRows,
  noBackendLeft,
  runLoad,
  startLoad,
  until,
} from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const loads = useDisturbedLoads(db, dir)

describe('runs that start at once', () => {
  test('all make do with the one state schema that one of them creates', async () => {
    const tables = ['first_a', 'first_b', 'first_c', 'first_d']
    const file = await dir.write('first.csv', 'a,b\n1,x\n2,y\n')
    const runs = await Promise.all(
      tables.map((table) => runLoad(db, [file, '--table', table, '--state-schema', 'brand new'])),
    )
    for (const run of runs) expect(run.code, run.stderr).toBe(0)
    for (const table of tables) {
      expect(await db.value(`select count(*)::int from ${table}`)).toBe(2)
    }
    expect(await db.value('select count(*)::int from "brand new".job')).toBe(4)
  })

  test('with a table to create have it created by one of them, and every row once', async () => {
    const args = loads.argsOf('created_once')
    const runs = await Promise.all([runLoad(db, args), runLoad(db, args), runLoad(db, args)])
    const codes = runs.map((run) => run.code).sort()
    expect(codes[0]).toBe(0)
    for (const run of runs.filter(({ code }) => code !== 0)) {
      expect(run.report.error?.code, run.stderr).toBe('CHECKPOINT_HELD')
    }
    await loads.expectExact('created_once')
  })
})

describe('a run that was frozen while another one took its job over', () => {
  /** Freezes a load in its middle, and lets it look as if it had been so for longer than a heartbeat may take. */
  async function frozen(table: string) {
    await loads.makeTable(table, 'slow')
    const load = startLoad(db, loads.argsOf(table))
    await loads.inTheMiddle(table)
    load.process.kill('SIGSTOP')
    await db.query(
      `update millrace.run set heartbeat_at = clock_timestamp() - interval '1 minute' where status = 'running'`,
    )
    expect(await claimedRows(db, table)).toBeLessThan(loads.rows)
    return load
  }

  test('cannot add a row any more, with its connections lost', async () => {
    const zombie = await frozen('frozen_lost')
    try {
      await db.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [
        (await backends(db)).filter(({ role }) => role === 'lane').map(({ pid }) => pid),
      ])
      const run = await runLoad(db, loads.argsOf('frozen_lost'))
      expect(run.code, run.stderr).toBe(0)
      zombie.process.kill('SIGCONT')
      const late = await zombie.ended
      expect(late.report.error?.code, late.stderr).toBe('CHECKPOINT_FENCED')
      expect(late.code).toBe(4)
      await loads.expectExact('frozen_lost')
    } finally {
      zombie.process.kill('SIGKILL')
    }
  })

  test('does not hold the other one up with the chunks it has in flight', async () => {
    const zombie = await frozen('frozen_midway')
    const next = startLoad(db, loads.argsOf('frozen_midway'))
    try {
      await until('the other run has ended', () => next.process.exitCode !== null, 15)
      expect((await next.ended).code).toBe(0)
      zombie.process.kill('SIGCONT')
      const late = await zombie.ended
      expect(late.report.error?.code, late.stderr).toBe('CHECKPOINT_FENCED')
      expect(late.code).toBe(4)
      await loads.expectExact('frozen_midway')
    } finally {
      zombie.process.kill('SIGKILL')
      next.process.kill('SIGKILL')
      await noBackendLeft(db)
    }
  })

  test('goes on when nobody has taken its job over', async () => {
    const zombie = await frozen('frozen_alone')
    zombie.process.kill('SIGCONT')
    const run = await zombie.ended
    expect(run.code, run.stderr).toBe(0)
    await loads.expectExact('frozen_alone')
  })
})
