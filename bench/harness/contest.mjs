// @ts-check
import { runTogether } from './child.mjs'
import { ratioByRound, spread } from './stats.mjs'

/**
 * @typedef {import('./bench.mjs').Bench} Bench
 * @typedef {import('../generate.mjs').DataFile} DataFile
 * @typedef {import('./child.mjs').Command} Command
 *
 * @typedef {object} Load
 * @property {DataFile} data
 * @property {string} url
 * @property {string} table  exists and is empty
 *
 * @typedef {object} Contender
 * @property {string} name
 * @property {(bench: Bench, data: DataFile) => Promise<void>} [prepare]  once, outside of the timing
 * @property {(load: Load) => readonly Command[]} commands  run at once and measured as one
 * @property {string} [view]  the query that says what its table must hold; by default all rows as they are
 * @property {(stdout: string, data: DataFile) => void | Promise<void>} [check]  throws when its own report is wrong
 *
 * @typedef {{ contender: Contender, data: DataFile }} Entry
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {DataFile} data
 * @property {number[]} seconds  by round
 * @property {number[]} rowsPerSecond  by round
 * @property {number} peakRssBytes  the highest of all rounds; NaN where it cannot be read
 */

/**
 * Runs the contenders in turn, round after round, so that a slow minute of the machine hits them all; each round
 * begins with another one, so that none has always the same before it.
 *
 * Errors: rejects when a contender fails or leaves another table than the server's own CSV reader does.
 * @param {Bench} bench
 * @param {readonly Entry[]} entries
 * @param {number} [rounds]
 * @returns {Promise<Result[]>}
 */
export async function contest(bench, entries, rounds = bench.runs) {
  for (const { data, contender } of entries) {
    await bench.expected(data, contender.view)
    await contender.prepare?.(bench, data)
  }
  const results = entries.map(({ contender, data }) => emptyResult(contender.name, data))
  for (let round = 1; round <= rounds; round++) {
    for (let turn = 0; turn < entries.length; turn++) {
      const index = (round - 1 + turn) % entries.length
      const { contender, data } = /** @type {Entry} */ (entries[index])
      const { seconds, peakRssBytes } = await measure(bench, contender, data)
      const result = /** @type {Result} */ (results[index])
      result.seconds.push(seconds)
      result.rowsPerSecond.push(data.rows / seconds)
      result.peakRssBytes = Math.max(result.peakRssBytes || 0, peakRssBytes ?? NaN)
      bench.log(`  ${round}/${rounds} ${contender.name}: ${seconds.toFixed(2)} s`)
    }
  }
  return results
}

/** @param {Bench} bench @param {Contender} contender @param {DataFile} data */
async function measure(bench, contender, data) {
  bench.signal.throwIfAborted()
  await bench.database.freshTable(data)
  const load = { data, url: bench.database.url, table: data.name }
  const finished = await runTogether(contender.commands(load))
  await contender.check?.(finished.stdout, data)
  await bench.verify(data, contender.name, contender.view)
  return finished
}

/** @param {string} name @param {DataFile} data @returns {Result} */
function emptyResult(name, data) {
  return { name, data, seconds: [], rowsPerSecond: [], peakRssBytes: 0 }
}

/** @param {readonly Result[]} results @param {string} name */
export function resultOf(results, name) {
  const found = results.find((result) => result.name === name)
  if (!found) throw new Error(`no contender is called ${name}`)
  return found
}

/**
 * Draws the results as a table, each compared with the first.
 * @param {readonly Result[]} results
 * @returns {import('./report.mjs').Table}
 */
export function contestTable(results) {
  const [base] = results
  if (!base) throw new Error('a contest needs a contender')
  return {
    head: ['', 'rows', 'seconds', 'min - max', 'rows/s', 'MB/s', `x ${base.name}`, 'peak RSS'],
    rows: results.map((result) => {
      const time = spread(result.seconds)
      const ratio = ratioByRound(result.rowsPerSecond, base.rowsPerSecond)
      return [
        result.name,
        result.data.rows.toLocaleString('en'),
        time.median.toFixed(2),
        `${time.min.toFixed(2)} - ${time.max.toFixed(2)}`,
        Math.round(result.data.rows / time.median).toLocaleString('en'),
        (result.data.bytes / 1e6 / time.median).toFixed(0),
        `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} - ${ratio.max.toFixed(2)})`,
        megabytes(result.peakRssBytes),
      ]
    }),
  }
}

/** @param {number} bytes */
export const megabytes = (bytes) => (Number.isNaN(bytes) ? 'n/a' : `${(bytes / 1e6).toFixed(0)} MB`)
