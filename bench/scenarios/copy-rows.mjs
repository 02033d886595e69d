// @ts-check
import { fileURLToPath } from 'node:url'
import { psqlCopyBinary } from '../baselines/psql-copy-binary.mjs'
import { psql } from '../baselines/psql.mjs'
import { runTogether } from '../harness/child.mjs'
import { atLeast, times } from '../harness/report.mjs'
import { ratioByRound, spread } from '../harness/stats.mjs'

const probe = fileURLToPath(new URL('../probes/copy-rows.mjs', import.meta.url))
/** Of the rows of the other scenarios: they are held as objects. */
const share = 0.1

/** @typedef {import('../harness/bench.mjs').Bench} Bench @typedef {import('../generate.mjs').DataFile} DataFile */

/** The server's own limit: binary data that is there before. */
const limit = psql && {
  name: psqlCopyBinary.name,
  /** @param {Bench} bench @param {DataFile} data */
  measure: async (bench, data) => {
    const load = { data, url: bench.database.url, table: data.name }
    const { seconds } = await runTogether(psqlCopyBinary.commands(load))
    return seconds
  },
}

/** @param {string} way @param {string} name */
const probed = (way, name) => ({
  name,
  /** @param {Bench} bench @param {DataFile} data */
  measure: async (bench, data) => {
    const args = ['--expose-gc', probe, data.path, bench.database.url, data.name, way]
    const { stdout } = await runTogether([{ program: process.execPath, args }])
    return Number(JSON.parse(stdout).seconds)
  },
})

const ways = [
  probed('by-row', 'pg-copy-streams, escaped by hand, a write per row'),
  probed('by-64k', 'pg-copy-streams, escaped by hand, writes of 64 KiB'),
  probed('copy-rows', 'copyRows'),
  ...(limit ? [limit] : []),
]

/**
 * Copies objects that are in memory, over one connection.
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem', bench.rows * share)
  await bench.expected(data)
  if (psql) await psqlCopyBinary.prepare?.(bench, data)
  /** @type {number[][]} rows/s by way and round */
  const speeds = ways.map(() => [])
  for (let round = 0; round < bench.runs; round++) {
    for (let turn = 0; turn < ways.length; turn++) {
      const index = (round + turn) % ways.length
      const { name, measure } = /** @type {typeof ways[0]} */ (ways[index])
      bench.signal.throwIfAborted()
      await bench.database.freshTable(data)
      const seconds = await measure(bench, data)
      await bench.verify(data, name)
      speeds[index]?.push(data.rows / seconds)
      bench.log(`  ${round + 1}/${bench.runs} ${name}: ${seconds.toFixed(2)} s`)
    }
  }
  /** @param {number} index @param {number} other */
  const ratio = (index, other) => ratioByRound(speeds[index] ?? [], speeds[other] ?? [])
  return {
    title: 'Objects into a table: lineitem, one connection',
    notes: [
      'Numbers and strings in memory; the time is that of copying them, connecting included, reading the file into objects not. All are fed the same objects; the binary file, which holds the same rows, shows what the server can take over one connection.',
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
      atLeast('copyRows against pg-copy-streams, a write per row', 3, ratio(2, 0).median, times),
      atLeast('copyRows against pg-copy-streams, writes of 64 KiB', 3, ratio(2, 1).median, times),
    ],
  }
}
