import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { useDisturbedLoads } from '../helpers/disturbed-loads.ts'
import { killBehind } from '../helpers/kills.ts'
import { claimedRows, noBackendLeft, runLoad, startLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

// Kills at every message, at random, and with rejects: scenarios.test.ts, and `npm run test:faults`.
const db = useDatabase()
const dir = useTempDir()
const loads = useDisturbedLoads(db, dir)

describe('a loader that is killed', () => {
  test.each([1, 4])('three times in its middle loads every row once: %i lanes', async (lanes) => {
    const table = `killed_${String(lanes)}`
    await loads.makeTable(table, 'slow')
    let known = 0
    for (let times = 0; times < 3; times++) {
      const options = ['--table', table, '--job', table, '--lanes', String(lanes)]
      const load = startLoad(db, [loads.file, ...options, '--chunk-size', '32KiB'])
      expect((await killBehind(db, table, known, load)).signal).toBe('SIGKILL')
      expect(await claimedRows(db, table)).toBeGreaterThan(known)
      known = await claimedRows(db, table)
    }
    expect(known).toBeLessThan(loads.rows)
    await loads.expectResumes(table)
  })

  test('at any time while it makes its table and begins loads every row once', async () => {
    for (let milliseconds = 150; milliseconds < 700; milliseconds += 50) {
      const load = startLoad(db, loads.argsOf('made'))
      await Promise.race([sleep(milliseconds), load.ended])
      load.process.kill('SIGKILL')
      await load.ended
      await noBackendLeft(db)
    }
    const run = await runLoad(db, loads.argsOf('made'))
    expect(run.code, run.stderr).toBe(0)
    await loads.expectExact('made')
  })
})

describe('the check of a killed loader', () => {
  test('finds the rows that come twice when a claim was deleted', async () => {
    await loads.makeTable('control', 'slow')
    const load = startLoad(db, loads.argsOf('control'))
    expect((await killBehind(db, 'control', 0, load)).signal).toBe('SIGKILL')
    const deleted = await db.query(`
      delete from millrace.claim where ctid = (
        select ctid from millrace.claim
         where job = (select id from millrace.job where key = 'control') order by start_byte limit 1)
      returning 1`)
    expect(deleted).toHaveLength(1)
    expect((await runLoad(db, loads.argsOf('control'))).code).toBe(0)
    const problems = await loads.problems('control')
    expect(problems.join('\n')).toMatch(/\d+ rows, 20000 of them distinct, expected 20000/)
    expect(problems.join('\n')).toMatch(/the checksum is/)
  })

  test('finds claims that overlap, leave a gap, or count other rows', async () => {
    await loads.makeTable('claims', 'fast')
    expect((await runLoad(db, loads.argsOf('claims'))).code).toBe(0)
    const job = `job = (select id from millrace.job where key = 'claims')`
    const first = `${job} and start_byte = (select min(start_byte) from millrace.claim where ${job})`
    const changes = [
      ['set end_byte = end_byte + 1', /claims overlap/],
      ['set end_byte = end_byte - 2', /no claim has bytes/],
      ['set loaded = loaded + 1', /the claims say 20001 rows/],
    ] as const
    for (const [change, message] of changes) {
      await db.query(`update millrace.claim ${change} where ${first}`)
      expect((await loads.problems('claims')).join('\n')).toMatch(message)
    }
  })
})
