// @ts-check
import { fileURLToPath } from 'node:url'
import { runTogether } from '../harness/child.mjs'
import { atLeast, times } from '../harness/report.mjs'
import { ratioByRound, spread } from '../harness/stats.mjs'

const probe = fileURLToPath(new URL('../probes/copy-rows.mjs', import.meta.url))
/** Of the rows of the other scenarios: they are held as objects. */
const share = 0.1

const ways = [
  { way: 'by-row', name: 'pg-copy-streams, escaped by hand, a write per row' },
  { way: 'by-64k', name: 'pg-copy-streams, escaped by hand, writes of 64 KiB' },
  { way: 'copy-rows', name: 'copyRows' },
]

/**
 * Copies objects that are in memory, over one connection.
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem', bench.rows * share)
  await bench.expected(data)
  /** @type {number[][]} rows/s by way and round */
  const speeds = ways.map(() => [])
  for (let round = 0; round < bench.runs; round++) {
    for (let turn = 0; turn < ways.length; turn++) {
      const index = (round + turn) % ways.length
      const { way, name } = /** @type {typeof ways[0]} */ (ways[index])
      bench.signal.throwIfAborted()
      await bench.database.freshTable(data)
      const args = ['--expose-gc', probe, data.path, bench.database.url, data.name, way]
      const { stdout } = await runTogether([{ program: process.execPath, args }])
      await bench.verify(data, name)
      const { seconds } = JSON.parse(stdout)
      speeds[index]?.push(data.rows / seconds)
      bench.log(`  ${round + 1}/${bench.runs} ${name}: ${seconds.toFixed(2)} s`)
    }
  }
  /** @param {number} index @param {number} other */
  const ratio = (index, other) => ratioByRound(speeds[index] ?? [], speeds[other] ?? [])
  return {
    title: 'Objects into a table: lineitem, one connection',
    notes: [
      'Numbers and strings in memory; the time is that of copying them, connecting included, reading the file into objects not. Both feed the same objects.',
    ],
    tables: [
      {
        head: ['', 'rows', 'rows/s', 'min - max', 'x a write per row'],
        rows: ways.map(({ name }, index) => {
          const { median, min, max } = spread(speeds[index] ?? [])
          const against = ratio(index, 0)
          const figures = [median, min, max].map((speed) => Math.round(speed).toLocaleString('en'))
          return [
            name,
            data.rows.toLocaleString('en'),
            figures[0] ?? '',
            `${figures[1]} - ${figures[2]}`,
            `${against.median.toFixed(2)} (${against.min.toFixed(2)} - ${against.max.toFixed(2)})`,
          ]
        }),
      },
    ],
    bars: [
      atLeast('copyRows against a write per row', 3, ratio(2, 0).median, times),
      atLeast('copyRows against writes of 64 KiB', 3, ratio(2, 1).median, times),
    ],
  }
}
