// @ts-check
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { psql } from './baselines/psql.mjs'
import { dataFolder } from './generate.mjs'
import { readOptions, UsageError } from './harness/args.mjs'
import { Bench } from './harness/bench.mjs'
import { killChildren } from './harness/child.mjs'
import { BenchDatabase } from './harness/database.mjs'
import { describeMachine, machineSlug } from './harness/machine.mjs'
import { markdown } from './harness/report.mjs'
import { scenarios } from './scenarios/all.mjs'

const resultsFolder = fileURLToPath(new URL('results/', import.meta.url))
const interruption = new AbortController()

process.on('exit', killChildren)
for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
  process.once(signal, () => {
    process.exitCode = code
    interruption.abort(new Error(`interrupted by ${signal}`))
    killChildren()
  })
}

// The embedded server's package ends the process with 0 when nothing is left to do: the code is said here.
process.exit(await main().then(() => 0, failed))

/** @param {unknown} error */
function failed(error) {
  if (interruption.signal.aborted) {
    console.error(interruption.signal.reason.message)
    return Number(process.exitCode)
  }
  console.error(error instanceof UsageError ? error.message : error)
  return error instanceof UsageError ? 2 : 1
}

async function main() {
  const options = readOptions(process.argv.slice(2), Object.keys(scenarios))
  const server = options.to ? { url: options.to, stop: async () => undefined } : await ownServer()
  try {
    const database = await BenchDatabase.create(server.url)
    try {
      const bench = new Bench(database, options, interruption.signal)
      await publish(await runScenarios(bench, options.only), bench, options)
    } finally {
      await database.close()
    }
  } finally {
    await server.stop()
  }
}

/** The package hooks signals as soon as it is loaded, and then ends the process before a database is dropped. */
async function ownServer() {
  const { startServer } = await import('./harness/server.mjs')
  return startServer()
}

/** @param {Bench} bench @param {readonly string[]} only */
async function runScenarios(bench, only) {
  const sections = []
  for (const [name, run] of Object.entries(scenarios)) {
    if (only.length && !only.includes(name)) continue
    bench.signal.throwIfAborted()
    bench.log(name)
    sections.push(await run(bench))
  }
  return sections
}

/**
 * @param {readonly import('./harness/report.mjs').Section[]} sections
 * @param {Bench} bench
 * @param {import('./harness/args.mjs').Options} options
 */
async function publish(sections, bench, options) {
  const date = new Date().toISOString().slice(0, 10)
  const page = markdown({
    title: `${date}, ${machineSlug()}`,
    warnings: warnings(bench, options),
    machine: await describeMachine(bench.database, psql?.version),
    sections,
  })
  const name = [date, machineSlug(), ...options.only].join('-')
  const path = options.quick ? `${dataFolder}quick.md` : `${resultsFolder}${name}.md`
  await mkdir(resultsFolder, { recursive: true })
  await writeFile(path, page)
  console.log(page)
  bench.log(`written to ${path}`)
}

/** @param {Bench} bench @param {import('./harness/args.mjs').Options} options */
function warnings(bench, { quick, runs, only }) {
  return [
    ...(quick ? ['A quick run: it proves that the bench works; its figures mean nothing.'] : []),
    ...(runs < 3 ? ['Fewer than 3 rounds: no median.'] : []),
    ...(only.length ? [`Only these scenarios: ${only.join(', ')}.`] : []),
    ...(bench.database.mayCheckpoint ? [] : ['No right to CHECKPOINT: runs pay for each other.']),
  ]
}
