// @ts-check
import { setTimeout as sleep } from 'node:timers/promises'
import { start } from '../harness/child.mjs'
import { freshJob, loadCommand, loadReport } from '../harness/millrace.mjs'
import { atMost } from '../harness/report.mjs'
import { spread } from '../harness/stats.mjs'
import { largeFactor } from './memory.mjs'

/** One row for every chunk that was committed, and nothing else. */
const claims = 'millrace.claim'
const chunkBytes = 8 << 20
const killAt = 0.9
const mostRounds = 3
const pollMs = 5
const settings = { lanes: 2, args: ['--chunk-size', '8MiB'] }

/** @typedef {import('../harness/bench.mjs').Bench} Bench */

/**
 * @param {Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem', bench.rows * largeFactor)
  await bench.expected(data)
  const seconds = []
  const rounds = Math.min(bench.runs, mostRounds)
  for (let round = 1; round <= rounds; round++) {
    bench.signal.throwIfAborted()
    seconds.push(await killAndResume(bench, data))
    bench.log(`  ${round}/${rounds} first new chunk after ${seconds.at(-1)?.toFixed(2)} s`)
  }
  const { median, min, max } = spread(seconds)
  return {
    title: 'Resume after kill -9',
    notes: [
      `A load of ${(data.bytes / 1e9).toFixed(2)} GB on 2 lanes is killed at ${killAt * 100} % and started again. Measured: from the start of the second process to its first commit of new rows, seen by polling every ${pollMs} ms. Then it is left to finish, and the table must be as if nothing had happened. The bar takes the slowest.`,
    ],
    tables: [
      {
        head: ['', 'seconds', 'min - max'],
        rows: [
          ['until the first new row', median.toFixed(2), `${min.toFixed(2)} - ${max.toFixed(2)}`],
        ],
      },
    ],
    bars: [atMost('resume, until the first new row', 2, max, (value) => `${value.toFixed(2)} s`)],
  }
}

/** @param {Bench} bench @param {import('../generate.mjs').DataFile} data */
async function killAndResume(bench, data) {
  await bench.database.freshTable(data)
  const before = await committed(bench)
  const command = loadCommand(
    { data, url: bench.database.url, table: data.name },
    settings,
    freshJob(),
  )
  const enough = before + Math.floor((data.bytes / chunkBytes) * killAt)
  await killWhen(bench, start(command), enough)
  await othersGone(bench)

  const kept = await committed(bench)
  const begun = performance.now()
  const resumed = start(command)
  await watch(bench, resumed, kept + 1)
  const seconds = (performance.now() - begun) / 1000
  loadReport((await resumed.finished).stdout)
  await bench.verify(data, 'resume')
  return seconds
}

/** @param {Bench} bench @param {import('../harness/child.mjs').Running} child @param {number} count */
async function killWhen(bench, child, count) {
  await watch(bench, child, count)
  child.kill()
  await child.finished.then(
    () => {
      throw new Error('the load ended before it could be killed: the file is too small')
    },
    () => undefined,
  )
}

/**
 * Waits until so many chunks are committed; rejects when the process ends before.
 * @param {Bench} bench @param {import('../harness/child.mjs').Running} child @param {number} count
 */
async function watch(bench, child, count) {
  let ended = false
  const end = child.finished.finally(() => (ended = true))
  end.catch(() => undefined)
  try {
    while ((await committed(bench)) < count) {
      bench.signal.throwIfAborted()
      if (ended) {
        await end
        if ((await committed(bench)) >= count) return
        throw new Error(`the load ended with fewer than ${count} rows in ${claims}`)
      }
      await sleep(pollMs)
    }
  } catch (error) {
    child.kill()
    throw error
  }
}

/** @param {Bench} bench */
async function committed({ database: { client } }) {
  const exists = await client.query('select to_regclass($1) is not null as yes', [claims])
  if (!exists.rows[0].yes) return 0
  const { rows } = await client.query(`select count(*) as count from ${claims}`)
  return Number(rows[0].count)
}

/** Waits until the server has noticed that the killed process is gone. @param {Bench} bench */
async function othersGone({ database: { client }, signal }) {
  const others = `select 1 from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`
  while ((await client.query(others)).rowCount) {
    signal.throwIfAborted()
    await sleep(pollMs)
  }
}
