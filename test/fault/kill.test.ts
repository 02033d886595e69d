import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import {
  type Campaign,
  planRound,
  prepareCampaign,
  problemsOfTable,
  runLoader,
  runRound,
} from '../helpers/kill-campaign.mjs'
import { claimedRows, startLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

/** Of the campaign that `npm run test:faults` runs in full. */
const ROUNDS = 3
const ROWS = 400_000
const SEED = Number(process.env['MILLRACE_FAULT_SEED'] ?? Math.floor(Math.random() * 1e6))

const db = useDatabase()
const dir = useTempDir()
let campaign: Campaign
let killedMidway = 0

beforeAll(async () => {
  const file = dir.path('rows.csv')
  campaign = await prepareCampaign({ url: db.url, file, rows: ROWS, seed: SEED, rounds: ROUNDS })
})

afterAll(() => campaign.client.end())

describe('a loader that is killed', () => {
  for (let round = 0; round < ROUNDS; round++) {
    test(`loads every row once when it is killed in part ${String(round + 1)} of ${String(ROUNDS)} of its time`, async () => {
      const outcome = await runRound(campaign, round)
      killedMidway += outcome.killedMidway
      expect(outcome.problems, outcome.replay).toEqual([])
    })
  }

  test('was killed with a part of its rows loaded at least once in these tests', () => {
    expect(killedMidway, `seed ${String(SEED)}`).toBeGreaterThan(0)
  })
})

describe('the check of a killed loader', () => {
  /** Kills a load in its middle, changes the claims by hand, loads to the end, and returns what the check finds. */
  async function problemsAfter(table: string, change: string): Promise<string[]> {
    const args = [campaign.file, '--to', db.url, '--table', table, '--job', table]
    args.push('--lanes', '2', '--chunk-size', '64KiB')
    const load = startLoad(db, args)
    await until('a part is loaded', async () => (await claimedRows(db, table)) > 0)
    load.process.kill('SIGKILL')
    expect((await load.ended).signal).toBe('SIGKILL')
    expect(await claimedRows(db, table)).toBeLessThan(ROWS)
    const claim = `(select ctid from millrace.claim where job = (select id from millrace.job where key = '${table}') order by start_byte limit 1)`
    expect(await db.query(`${change} where ctid = ${claim} returning 1`)).toHaveLength(1)
    expect((await runLoader(args, null)).code).toBe(0)
    return problemsOfTable(campaign.client, table, campaign.expected)
  }

  test('finds the rows that come twice when a claim was deleted', async () => {
    const problems = await problemsAfter('kill_control', 'delete from millrace.claim')
    expect(problems.join('\n')).toMatch(/\d+ rows, 400000 of them distinct, expected 400000/)
    expect(problems.join('\n')).toMatch(/the checksum is/)
  })

  test('finds claims that overlap, leave a gap, or count other rows', async () => {
    const job = `job = (select id from millrace.job where key = 'kill_control')`
    const first = `${job} and start_byte = (select min(start_byte) from millrace.claim where ${job})`
    const changes = [
      ['set end_byte = end_byte + 1', /claims overlap/],
      ['set end_byte = end_byte - 2', /no claim has bytes/],
      ['set loaded = loaded + 1', /the claims say 400001 rows/],
    ] as const
    for (const [change, message] of changes) {
      await db.query(`update millrace.claim ${change} where ${first}`)
      const problems = await problemsOfTable(campaign.client, 'kill_control', campaign.expected)
      expect(problems.join('\n')).toMatch(message)
    }
  })
})

describe('the plan of a campaign', () => {
  test('is the same for the same seed, and another for another one', () => {
    expect(planRound(7, 3, 50)).toEqual(planRound(7, 3, 50))
    expect(planRound(7, 3, 50)).not.toEqual(planRound(8, 3, 50))
  })

  test('kills once or twice, in the share of the time that belongs to the round', () => {
    const plans = Array.from({ length: 50 }, (_, round) => planRound(SEED, round, 50))
    expect(new Set(plans.map((plan) => plan.runs.length))).toEqual(new Set([2, 3]))
    plans.forEach(({ runs }, round) => {
      expect(Math.floor(runs[0]!.killAt! * 50)).toBe(round)
      expect(runs.at(-1)!.killAt).toBeNull()
    })
  })
})
