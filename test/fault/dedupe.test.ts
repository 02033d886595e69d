import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { type Duplicates, duplicateRows, expectFirsts } from '../helpers/duplicates.ts'
import { planRound, runLoader } from '../helpers/kill-campaign.mjs'
import {
  backends,
  claimedRows,
  noBackendLeft,
  runLoad,
  startLoad,
  until,
} from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROUNDS = 3
const ROWS = 300_000
const SEED = Number(process.env['MILLRACE_FAULT_SEED'] ?? Math.floor(Math.random() * 1e6))

const db = useDatabase()
const dir = useTempDir()
let rows: Duplicates
let file: string
let stages: string
let milliseconds: number

beforeAll(async () => {
  rows = duplicateRows(ROWS, SEED, 60)
  file = await dir.write('rows.csv', rows.csv)
  stages = await dir.write(
    'stages.ts',
    `import { dedupe, filter } from 'millrace'
     export default [filter((row: { n: number }) => row.n > 0), dedupe('k')]`,
  )
  const args = [file, '--to', db.url, '--table', 'reference', '--stage', stages]
  const run = await runLoader([...args, '--chunk-size', '128KiB', '--lanes', '2'], null)
  expect(run.code, run.stderr).toBe(0)
  await expectFirsts(db, 'reference', rows)
  milliseconds = run.milliseconds
})

afterEach(() => noBackendLeft(db))

describe('a loader with dedupe that is killed', () => {
  let midway = 0

  for (let round = 0; round < ROUNDS; round++) {
    test(`keeps the first row of each key when it is killed in part ${String(round + 1)} of ${String(ROUNDS)} of its time`, async () => {
      const { runs, tableExists } = planRound(SEED, round, ROUNDS)
      const table = `killed_${String(round)}`
      const asStream = round % 2 === 1
      if (tableExists) await db.query(`create table ${table} (like reference)`)
      for (const { lanes, chunkSize, killAt } of runs) {
        const args = [asStream ? '-' : file, '--table', table, '--job', table, '--stage', stages]
        args.push('--lanes', String(lanes), '--chunk-size', chunkSize)
        const input = asStream ? { input: await readFile(file) } : {}
        const load = startLoad(db, args, input)
        const timer =
          killAt === null
            ? undefined
            : setTimeout(() => load.process.kill('SIGKILL'), killAt * milliseconds)
        const run = await load.ended
        clearTimeout(timer)
        if (run.signal !== 'SIGKILL') expect(run.code, run.stderr).toBe(0)
        else {
          await noBackendLeft(db)
          const exists = await db.value('select to_regclass($1) is not null', [table])
          const known = exists === true ? await claimedRows(db, table) : 0
          if (known > 0 && known < rows.firsts.length) midway++
        }
      }
      await expectFirsts(db, table, rows)
      expect(await claimedRows(db, table), `seed ${String(SEED)}`).toBe(rows.firsts.length)
    })
  }

  test('was killed with a part of the rows loaded at least once', () => {
    expect(midway).toBeGreaterThan(0)
  })
})

describe('connections that are lost while lanes wait for their turn', () => {
  const small = duplicateRows(20_000, SEED)

  async function slowLoad(table: string): Promise<string[]> {
    const input = dir.path(`${table}.csv`)
    await writeFile(input, small.csv)
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
    await expectFirsts(db, table, small)
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
    await expectFirsts(db, 'interrupted', small)
  })
})
