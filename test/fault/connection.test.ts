import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { describe, expect, inject, test } from 'vitest'
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

async function terminate(role: 'run' | 'lane' | 'all', howMany = Infinity): Promise<number> {
  const chosen = (await backends(db)).filter((one) => role === 'all' || one.role === role)
  const pids = chosen.slice(0, howMany).map((one) => one.pid)
  const ended = await db.query<{ ended: boolean }>(
    'select pg_terminate_backend(pid) as ended from unnest($1::int[]) pid',
    [pids],
  )
  return ended.filter((row) => row.ended).length
}

describe('a connection that the server ends', () => {
  test('is made anew when it was that of one lane', async () => {
    await loads.makeTable('one_lane', 'slow')
    const load = startLoad(db, loads.argsOf('one_lane'))
    await loads.inTheMiddle('one_lane')
    expect(await terminate('lane', 1)).toBe(1)
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toMatch(/a lane was held up/)
    expect(run.report.rows.loaded).toBe(loads.rows)
    await loads.expectExact('one_lane')
  })

  test('is made anew when it was that of the run itself', async () => {
    await loads.makeTable('run_itself', 'slow')
    const load = startLoad(db, loads.argsOf('run_itself'))
    await loads.inTheMiddle('run_itself')
    expect(await terminate('run')).toBe(1)
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    await loads.expectExact('run_itself')
  })

  test('is made anew for every lane and the run, again and again', async () => {
    await loads.makeTable('all_of_them', 'slow')
    const load = startLoad(db, loads.argsOf('all_of_them'))
    let ended = 0
    for (let round = 0; round < 4; round++) {
      await loads.inTheMiddle('all_of_them')
      ended += await terminate('all')
      await sleep(200)
    }
    expect(ended).toBeGreaterThanOrEqual(8)
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(loads.rows)
    await loads.expectExact('all_of_them')
  })

  test('is made anew also when it is lost again before the lane knows what was committed', async () => {
    await loads.makeTable('stormy', 'slow')
    const load = startLoad(db, loads.argsOf('stormy'))
    await loads.inTheMiddle('stormy')
    const calm = Date.now() + 1_200
    let ended = 0
    while (Date.now() < calm) ended += await terminate('lane')
    expect(ended).toBeGreaterThan(9)
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    await loads.expectExact('stormy')
  })

  test('while a COPY waits for a lock leaves its chunk for the next connection', async () => {
    await loads.makeTable('locked', 'fast')
    await loads.other.query('begin; lock table locked in share row exclusive mode')
    const load = startLoad(db, loads.argsOf('locked'))
    await until('all lanes wait', async () => (await loads.lockWaits()) === 3)
    expect(await terminate('lane')).toBe(3)
    await until('all lanes wait again', async () => (await loads.lockWaits()) === 3)
    await loads.other.query('commit')
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    await loads.expectExact('locked')
  })

  test('for good, with a server that lets nobody in, ends the load, and it can be gone on with', async () => {
    await loads.makeTable('let_in', 'slow')
    const load = startLoad(db, [...loads.argsOf('let_in'), '--lanes', '1'])
    await loads.inTheMiddle('let_in')
    const name = String(await db.value('select current_database()'))
    const server = new Client({ connectionString: inject('serverUrl') })
    await server.connect()
    await server.query(`alter database ${name} with allow_connections false`)
    try {
      await terminate('all')
      const run = await load.ended
      expect([1, 75], run.stderr).toContain(run.code)
      expect(run.seconds).toBeLessThan(30)
    } finally {
      await server.query(`alter database ${name} with allow_connections true`)
      await server.end()
    }
    await loads.expectResumes('let_in')
  })
})

describe('a row that the server refuses in the middle of a COPY', () => {
  test('rolls its chunk back, keeps the others, and leaves no connection', async () => {
    await loads.makeTable('refused', 'fast')
    await db.query('alter table refused add constraint no_13001 check (id <> 13001)')
    const run = await runLoad(db, loads.argsOf('refused'))
    expect(run.code).toBe(1)
    expect(run.report.status).toBe('failed')
    expect(run.report.error?.code).toBe('TARGET_ROW_REFUSED')
    expect(run.report.error?.where?.record).toBe(13_002)
    await noBackendLeft(db)
    expect(await db.value('select count(*)::int from refused')).toBe(
      await claimedRows(db, 'refused'),
    )
    expect(await db.value('select max(id) from refused where id < 13001')).toBeLessThan(13_001)

    await db.query('alter table refused drop constraint no_13001')
    await loads.expectResumes('refused')
  })

  test('settles also when all of the rows are one chunk that is still being sent', async () => {
    await loads.makeTable('refused_early', 'fast')
    await db.query('alter table refused_early add constraint no_1 check (id <> 1)')
    const run = await runLoad(db, [
      ...[loads.file, '--table', 'refused_early', '--job', 'refused_early'],
      ...['--lanes', '1', '--chunk-size', '8MiB'],
    ])
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('TARGET_ROW_REFUSED')
    expect(run.report.error?.where?.record).toBe(2)
    expect(run.seconds).toBeLessThan(5)
    await noBackendLeft(db)
    expect(await db.value('select count(*)::int from refused_early')).toBe(0)
    await db.query('alter table refused_early drop constraint no_1')
    await loads.expectResumes('refused_early')
  })

  test('is not hidden by a trigger that leaves rows out: the load fails rather than lose them', async () => {
    await loads.makeTable('thinned', 'fast')
    await db.query(`
      create function thin() returns trigger language plpgsql as
      $$ begin return case when new.id = 7 then null else new end; end $$;
      create trigger thin before insert on thinned for each row execute function thin()`)
    const run = await runLoad(db, loads.argsOf('thinned'))
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('TARGET_REFUSED')
    await noBackendLeft(db)
  })
})

describe('standard input', () => {
  test('that ends within a quoted field fails the load, and a second run of all of it goes on', async () => {
    await loads.makeTable('cut_short', 'fast')
    const bytes = await readFile(loads.file)
    const quote = bytes.lastIndexOf('"two\n')
    const args = loads.argsOf('cut_short', '-')
    const run = await runLoad(db, args, { input: bytes.subarray(0, quote + 3) })
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('SOURCE_UNTERMINATED_QUOTE')
    const line = bytes.subarray(0, quote).filter((byte) => byte === 10).length + 1
    expect(run.report.error?.where?.line).toBe(line)
    await noBackendLeft(db)
    const before = await claimedRows(db, 'cut_short')
    expect(before).toBeGreaterThan(0)

    const again = await runLoad(db, args, { input: bytes })
    expect(again.code, again.stderr).toBe(0)
    expect(again.report.resumed.rows).toBe(before)
    await loads.expectExact('cut_short')
  })

  test('that ends at once loads nothing into a table that is there', async () => {
    await loads.makeTable('nothing_came', 'fast')
    const run = await runLoad(db, ['-', '--table', 'nothing_came'], { input: '' })
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(0)
    await noBackendLeft(db)
  })
})
