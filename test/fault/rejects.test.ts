import { beforeAll, describe, expect, test } from 'vitest'
import {
  countMixed,
  type Expected,
  MIXED_TABLE,
  mixedRows,
  readRejects,
} from '../helpers/bad-rows.ts'
import { useDatabase } from '../helpers/database.ts'
import { planRound, runLoader } from '../helpers/kill-campaign.mjs'
import { noBackendLeft, startLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROUNDS = 2
const ROWS = 60_000
const SEED = Number(process.env['MILLRACE_FAULT_SEED'] ?? Math.floor(Math.random() * 1e6))

const db = useDatabase()
const dir = useTempDir()
let file: string
let bad: readonly Expected[]
let good: number
let milliseconds: number

async function newTable(): Promise<void> {
  await db.query('drop table if exists mixed, modes; drop domain if exists percent')
  await db.query(MIXED_TABLE)
}

beforeAll(async () => {
  const rows = mixedRows(ROWS, (row) => row % 211 === 210)
  ;({ bad, good } = rows)
  file = await dir.write('mixed.csv', rows.bytes)
  await newTable()
  const run = await runLoader(
    [file, '--to', db.url, '--table', 'mixed', '--chunk-size', '256KiB'],
    null,
  )
  expect(run.code, run.stderr).toBe(0)
  milliseconds = run.milliseconds
})

describe('a loader that rejects rows and is killed', () => {
  let midway = 0

  for (let round = 0; round < ROUNDS; round++) {
    test(`loads every good row once, and keeps every bad row once, when it is killed in part ${String(round + 1)} of ${String(ROUNDS)} of its time`, async () => {
      const job = `killed ${String(round)}`
      await newTable()
      for (const { lanes, chunkSize, killAt } of planRound(SEED, round, ROUNDS).runs) {
        const args = [file, '--table', 'mixed', '--job', job, '--lanes', String(lanes)]
        const load = startLoad(db, [...args, '--chunk-size', chunkSize, '--max-errors', '1%'])
        const timer =
          killAt === null
            ? undefined
            : setTimeout(() => load.process.kill('SIGKILL'), killAt * milliseconds)
        const run = await load.ended
        clearTimeout(timer)
        await noBackendLeft(db)
        if (run.signal !== 'SIGKILL') expect(run.code, run.stderr).toBe(0)
        else {
          const { loaded } = await countMixed(db, job)
          if (loaded > 0 && loaded < good) midway++
        }
      }
      const seed = `seed ${String(SEED)}`
      const all = { rows: good, ids: good, loaded: good, rejected: bad.length, read: ROWS }
      expect(await countMixed(db, job), seed).toEqual(all)
      expect(await readRejects(db, job), seed).toEqual(bad)
    })
  }

  test('was killed with a part of the rows loaded at least once', () => {
    expect(midway).toBeGreaterThan(0)
  })
})
