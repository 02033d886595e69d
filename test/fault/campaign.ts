// Disturbs loads in every way there is, and looks at what has become of every row:
//   npm run test:faults -- [--full] [--only NAME,NAME] [--rounds N] [--round N] [--rows N] [--seed N]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { OwnServer } from '../helpers/faults/own-server.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/faults/proxy.ts'
import { runRound, SCENARIOS } from '../helpers/faults/scenarios.ts'
import { Subject } from '../helpers/faults/subject.ts'

const { values } = parseArgs({
  options: {
    /** As many rounds as the README publishes, not a twentieth of them. */
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    /** One round alone, to run a failure again. */
    round: { type: 'string' },
    rows: { type: 'string', default: '20000' },
    seed: { type: 'string' },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6))
const names = await possible(values.only?.split(',') ?? Object.keys(SCENARIOS))

const folder = await mkdtemp(join(tmpdir(), 'millrace-faults-'))
const server = await OwnServer.open()
const proxy = await openFaultProxy(server.url)
let failed = 0
try {
  console.log(`seed ${String(seed)}, ${values.rows} rows`)
  const subject = await Subject.open(server.url, folder, Number(values.rows))
  for (const name of names) failed += await runScenario(name, subject, proxy)
} finally {
  await proxy.close()
  await server.remove()
  await rm(folder, { recursive: true, force: true })
}
// The embedded server's package ends the process with 0 when nothing is left to do: the code is said here.
process.exit(failed > 0 ? 1 : 0)

/** Those scenarios that this machine has all for; the others are named. */
async function possible(wanted: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const name of wanted) {
    const lacking = (await SCENARIOS[name]?.lacks?.()) ?? null
    if (lacking === null) found.push(name)
    else console.log(`${name}: left out, ${lacking}`)
  }
  return found
}

/** Runs the rounds of a scenario; how many have failed. */
async function runScenario(name: string, subject: Subject, way: FaultProxy): Promise<number> {
  const all = SCENARIOS[name]?.rounds ?? 1
  const most = Number(values.rounds ?? (values.full ? all : Math.ceil(all / 20)))
  const from = values.round === undefined ? 0 : Number(values.round)
  const to = values.round === undefined ? most : from + 1
  const began = performance.now()
  let good = 0
  subject.midway = 0
  for (let round = from; round < to; round++) {
    const problems = await runRound(name, seed, { subject, proxy: way, server, round })
    if (problems.length === 0) good++
    else {
      const again = `npm run test:faults -- --seed ${String(seed)} --rows ${values.rows} --only '${name}' --round ${String(round)}`
      console.error(
        [`${name}, round ${String(round)}`, ...problems, `again: ${again}`].join('\n  '),
      )
    }
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  const midway = subject.midway > 0 ? `, ${String(subject.midway)} kills midway` : ''
  console.log(`${name}: ${String(good)} of ${String(to - from)} exact${midway} (${seconds} s)`)
  return to - from - good
}
