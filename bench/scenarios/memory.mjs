// @ts-check
import { contest, contestTable, megabytes } from '../harness/contest.mjs'
import { millrace } from '../harness/millrace.mjs'
import { atMost } from '../harness/report.mjs'

/** The large file against the small one: 4.2 GB against 0.5 GB at the default size. */
export const largeFactor = 8
const mostRounds = 3
const bytesAllowed = 256e6

/**
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const entries = []
  for (const rows of [bench.rows, bench.rows * largeFactor]) {
    const data = await bench.data('lineitem', rows)
    const name = `a file of ${(data.bytes / 1e9).toFixed(2)} GB`
    entries.push({ data, contender: millrace({ name, lanes: 2 }) })
  }
  const results = await contest(bench, entries, Math.min(bench.runs, mostRounds))
  const peaks = results.map((result) => result.peakRssBytes)
  const growth = ((peaks[1] ?? NaN) / (peaks[0] ?? NaN) - 1) * 100
  return {
    title: `Memory: a file and one ${largeFactor} times its size, 2 lanes`,
    notes: [
      'Peak RSS is read from outside (VmHWM of the process, all lanes in it, pages of the Node binary included).',
      `The larger file takes ${growth.toFixed(0)} % more memory than the smaller one.`,
    ],
    tables: [contestTable(results)],
    bars: [atMost('peak RSS, any size', bytesAllowed, Math.max(...peaks), megabytes)],
  }
}
