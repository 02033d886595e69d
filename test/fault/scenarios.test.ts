import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { OwnServer } from '../helpers/faults/own-server.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/faults/proxy.ts'
import { runRound } from '../helpers/faults/scenarios.ts'
import { Subject } from '../helpers/faults/subject.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

// A round is a few loads, and what they wait for.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 })

const ROWS = 6_000
const SEED = Number(process.env['MILLRACE_FAULT_SEED'] ?? 1)

/** Some rounds of each scenario; all of them are those of `npm run test:faults -- --full`. */
const ROUNDS: Readonly<Record<string, readonly number[]>> = {
  killed: [0, 1],
  'killed at a message': [0, 17, 34, 51, 68, 85, 102, 119],
  'commit lost': [0, 1],
  'connections ended': [0],
  'statements cancelled': [0],
  'server restarted': [1, 2],
  'network slow': [1],
  'network cut': [0, 1],
  'network silent': [3, 8],
  'short of disk': [0],
  'two loaders': [0],
  zombie: [0],
  signal: [0, 1],
  'locks and conflicts': [1, 3],
  chaos: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
}

const dir = useTempDir()
let server: OwnServer
let proxy: FaultProxy
let subject: Subject

beforeAll(async () => {
  server = await OwnServer.open()
  proxy = await openFaultProxy(server.url)
  subject = await Subject.open(server.url, dir.path('.'), ROWS)
})

afterAll(async () => {
  await proxy.close()
  await server.remove()
})

describe.each(Object.entries(ROUNDS))('%s', (name, rounds) => {
  test.each(rounds)('every row is there once, round %i', async (round) => {
    expect(await runRound(name, SEED, { subject, proxy, server, round })).toEqual([])
  })
})
