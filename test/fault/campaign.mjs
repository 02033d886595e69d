// @ts-check
// Kills loaders at random moments and loads on: npm run test:faults -- [--full] [--seed N] [--kills N] [--rows N] [--only ROUND]
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { openEmbeddedServer, stopEmbeddedServer } from '../../dist/index.js'
import { prepareCampaign, runRound } from '../helpers/kill-campaign.mjs'

const { values } = parseArgs({
  options: {
    /** 200 kills, not 50. */
    full: { type: 'boolean', default: false },
    seed: { type: 'string' },
    kills: { type: 'string' },
    rows: { type: 'string', default: '400000' },
    /** One round of the campaign, to run a failure again. */
    only: { type: 'string' },
    /** A server to use; one of its own by default. */
    to: { type: 'string' },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6))
const rounds = Number(values.kills ?? (values.full ? 200 : 50))
const rows = Number(values.rows)

const folder = await mkdtemp(join(tmpdir(), 'millrace-faults-'))
let failed = true
try {
  failed = values.to === undefined ? await withServer(run) : await run(values.to)
} finally {
  await rm(folder, { recursive: true, force: true })
}
// The embedded server's package ends the process with 0 when nothing is left to do: the code is said here.
process.exit(failed ? 1 : 0)

/** @param {string} url */
async function run(url) {
  console.log(`seed ${String(seed)}, ${String(rounds)} rounds, ${String(rows)} rows`)
  const campaign = await prepareCampaign({
    url,
    file: join(folder, 'rows.csv'),
    rows,
    seed,
    rounds,
  })
  console.log(`a load without a fault takes ${(campaign.milliseconds / 1000).toFixed(1)} s`)
  const chosen =
    values.only === undefined ? Array.from({ length: rounds }, (_, i) => i) : [Number(values.only)]
  let good = 0
  let midway = 0
  for (const round of chosen) {
    const { problems, killedMidway, plan, replay } = await runRound(campaign, round)
    midway += killedMidway
    if (problems.length === 0) good++
    else
      console.error(
        [`round ${String(round)}: ${JSON.stringify(plan)}`, ...problems, `again: ${replay}`].join(
          '\n  ',
        ),
      )
  }
  await campaign.client.end()
  console.log(
    `${String(good)} of ${String(chosen.length)} rounds ended with every row once; ${String(midway)} kills left a part of the rows`,
  )
  return good < chosen.length
}

/** @param {(url: string) => Promise<boolean>} work */
async function withServer(work) {
  const stateDir = join(folder, 'server')
  const server = await openEmbeddedServer({ stateDir })
  const dataDir = await realpath(server.dataDir)
  try {
    return await work(server.url)
  } finally {
    await server.release()
    await stopEmbeddedServer({ stateDir })
    // Root's servers live outside of the state directory.
    if (!dataDir.startsWith(await realpath(folder))) {
      await rm(dirname(dataDir), { recursive: true, force: true })
    }
  }
}
