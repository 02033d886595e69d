import { crc32 } from 'node:zlib'
import { chaos } from './chaos.ts'
import * as loader from './loader-faults.ts'
import * as network from './network-faults.ts'
import { lacksPooler } from './pooler.ts'
import * as server from './server-faults.ts'
import type { Scenario, Setting } from './setting.ts'

interface Entry {
  readonly run: Scenario
  /** Of a whole campaign. */
  readonly rounds: number
  /** What it wants that this machine has not; null for nothing. */
  readonly lacks?: () => Promise<string | null>
}

const lacksRoot = (): Promise<string | null> =>
  Promise.resolve(process.getuid?.() === 0 ? null : 'it needs root')

/** The scenarios by name. */
export const SCENARIOS: Readonly<Record<string, Entry>> = {
  killed: { run: loader.killed, rounds: 200 },
  'killed at a message': { run: loader.killedAtMessage, rounds: 800 },
  'killed in a row': { run: loader.killedInARow, rounds: 2 },
  'commit lost': { run: network.commitLost, rounds: 200 },
  'connections ended': { run: server.connectionsEnded, rounds: 20 },
  'statements cancelled': { run: server.statementsCancelled, rounds: 20 },
  'server restarted': { run: server.restarted, rounds: 60 },
  'network slow': { run: network.slow, rounds: 24 },
  'network cut': { run: network.cutAtByte, rounds: 500 },
  'network silent': { run: network.silent, rounds: 44 },
  'short of disk': { run: server.shortOfDisk, rounds: 20 },
  'disk full': { run: server.fullDisk, rounds: 5, lacks: lacksRoot },
  'two loaders': { run: loader.twoLoaders, rounds: 100 },
  'two loaders behind a pooler': { run: loader.twoPooled, rounds: 100, lacks: lacksPooler },
  zombie: { run: loader.zombie, rounds: 20 },
  signal: { run: loader.signalled, rounds: 100 },
  'locks and conflicts': { run: server.conflicts, rounds: 40 },
  chaos: { run: chaos, rounds: 100 },
}

/** Runs one round of a scenario, by a seed of its own: one that has failed is run again alone. */
export async function runRound(
  name: string,
  seed: number,
  setting: Omit<Setting, 'job'>,
): Promise<readonly string[]> {
  const scenario = SCENARIOS[name]
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`)
  const { subject, proxy, round } = setting
  subject.seed(seed * 1_000_003 + crc32(`${name} ${String(round)}`))
  await subject.newTable()
  try {
    return await scenario.run({ ...setting, job: `${name} ${String(round)}` })
  } finally {
    proxy.calm()
  }
}
