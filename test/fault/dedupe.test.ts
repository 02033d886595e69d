import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { duplicateRows, expectFirsts } from '../helpers/duplicates.ts'
import { killBehind } from '../helpers/kills.ts'
import {
  backends,
  claimedRows,
  noBackendLeft,
  runLoad,
  type RunningLoad,
  startLoad,
  until,
} from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const SEED = Number(process.env['MILLRACE_FAULT_SEED'] ?? Math.floor(Math.random() * 1e6))

const db = useDatabase()
const dir = useTempDir()
const rows = duplicateRows(20_000, SEED)
let stages: string

beforeAll(async () => {
  stages = await dir.write(
    'stages.ts',
    `import { dedupe, filter } from 'millrace'
     export default [filter((row: { n: number }) => row.n > 0), dedupe('k')]`,
  )
})

afterEach(() => noBackendLeft(db))

/** The arguments of a load that takes its time: 20,000 rows, in some 60 chunks. */
async function slowLoad(table: string): Promise<string[]> {
  const input = dir.path(`${table}.csv`)
  await writeFile(input, rows.csv)
  await db.query(`
    create table ${table} (n int, k text, pad text);
    create or replace function slowly() returns trigger language plpgsql as $$
    begin
      if new.n % 300 < 2 then perform pg_sleep(0.03); end if;
      return new;
    end $$;
    create trigger slow before insert on ${table} for each row execute function slowly()`)
  return [
    ...[input, '--table', table, '--job', table, '--stage', stages],
    ...['--chunk-size', '16KiB', '--lanes', '4'],
  ]
}

describe('a loader with dedupe that is killed', () => {
  test.each(['file', 'stream'])(
    'three times keeps the first row of each key: a %s',
    async (kind) => {
      const table = `killed_${kind}`
      const [path = '', ...options] = await slowLoad(table)
      const start = async (): Promise<RunningLoad> =>
        kind === 'file'
          ? startLoad(db, [path, ...options])
          : startLoad(db, ['-', ...options], { input: await readFile(path) })
      for (let times = 0; times < 3; times++) {
        const known = times === 0 ? 0 : await claimedRows(db, table)
        expect((await killBehind(db, table, known, await start())).signal).toBe('SIGKILL')
      }
      expect(await claimedRows(db, table)).toBeLessThan(rows.firsts.length)
      const run = await (await start()).ended
      expect(run.code, run.stderr).toBe(0)
      await expectFirsts(db, table, rows)
      expect(await claimedRows(db, table), `seed ${String(SEED)}`).toBe(rows.firsts.length)
    },
  )
})

describe('connections that are lost while lanes wait for their turn', () => {
  async function terminate(role: 'lane' | 'all'): Promise<number> {
    const found = (await backends(db)).filter((one) => role === 'all' || one.role === role)
    await db.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [
      found.map(({ pid }) => pid),
    ])
    return found.length
  }

  test.each(['lane', 'all'] as const)('leave the first row of each key: %s', async (role) => {
    const table = `lost_${role}`
    const load = startLoad(db, await slowLoad(table))
    let ended = 0
    for (let round = 0; round < 4; round++) {
      await until('a part is loaded', async () => (await claimedRows(db, table)) > round * 200)
      ended += await terminate(role)
      await sleep(150)
    }
    expect(ended).toBeGreaterThanOrEqual(8)
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    await expectFirsts(db, table, rows)
  })

  test('and a load that is interrupted meanwhile goes on from there', async () => {
    const args = await slowLoad('interrupted')
    const load = startLoad(db, args)
    await until('a part is loaded', async () => (await claimedRows(db, 'interrupted')) > 300)
    const began = performance.now()
    load.process.kill('SIGTERM')
    const stopped = await load.ended
    expect(stopped.code).toBe(143)
    expect(performance.now() - began).toBeLessThan(3_000)
    await noBackendLeft(db)
    const before = await claimedRows(db, 'interrupted')
    expect(await db.value('select count(*)::int from interrupted')).toBe(before)
    const run = await runLoad(db, args)
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.resumed.rows).toBe(before)
    await expectFirsts(db, 'interrupted', rows)
  })
})
