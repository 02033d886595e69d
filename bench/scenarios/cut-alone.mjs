// @ts-check
import { fileURLToPath } from 'node:url'
import { datasets } from '../generate.mjs'
import { runTogether } from '../harness/child.mjs'
import { atLeast } from '../harness/report.mjs'
import { spread } from '../harness/stats.mjs'

const probe = fileURLToPath(new URL('../probes/cut.mjs', import.meta.url))
const passes = 16

/** @typedef {{ name: string, data: 'lineitem' | 'narrow' | 'text', variant: string }} Input */

/** @type {readonly Input[]} */
const inputs = [
  { name: 'unquoted: lineitem without its quoted rows', data: 'lineitem', variant: 'unquoted' },
  { name: 'unquoted: narrow', data: 'narrow', variant: 'as-is' },
  { name: 'all quoted: lineitem, every field', data: 'lineitem', variant: 'quoted' },
  { name: 'all quoted: text', data: 'text', variant: 'as-is' },
  { name: 'lineitem as it is, 5 % of the rows quoted', data: 'lineitem', variant: 'as-is' },
]

/**
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  /** @type {number[][]} */
  const speeds = inputs.map(() => [])
  for (let round = 1; round <= bench.runs; round++) {
    for (const [index, input] of inputs.entries()) {
      bench.signal.throwIfAborted()
      speeds[index]?.push(await measure(bench, input))
      bench.log(`  ${round}/${bench.runs} ${input.name}: ${speeds[index]?.at(-1)?.toFixed(0)} MB/s`)
    }
  }
  /** @param {string} kind */
  const slowest = (kind) =>
    Math.min(
      ...inputs.flatMap(({ name }, index) =>
        name.startsWith(kind) ? [spread(speeds[index] ?? []).median] : [],
      ),
    )
  return {
    title: 'The cut alone, one core',
    notes: [
      "Windows of 8 MiB over the first 64 MiB of a file, in memory, scanned 16 times; no server, no start-up. The records it counts are held against a byte-by-byte count. A bar takes the slower of its inputs' medians.",
    ],
    tables: [
      {
        head: ['', 'MB/s', 'min - max'],
        rows: inputs.map(({ name }, index) => {
          const { median, min, max } = spread(speeds[index] ?? [])
          return [name, median.toFixed(0), `${min.toFixed(0)} - ${max.toFixed(0)}`]
        }),
      },
    ],
    bars: [
      atLeast('cut, unquoted', 1000, slowest('unquoted'), megabytesPerSecond),
      atLeast('cut, all quoted', 400, slowest('all quoted'), megabytesPerSecond),
    ],
  }
}

/** @param {import('../harness/bench.mjs').Bench} bench @param {Input} input */
async function measure(bench, { data, variant }) {
  const { path } = await bench.data(data, bench.rows * datasets[data].share)
  const args = [probe, path, variant, `${passes}`]
  const { stdout } = await runTogether([{ program: process.execPath, args }])
  return JSON.parse(stdout).megabytesPerSecond
}

/** @param {number} speed */
const megabytesPerSecond = (speed) => `${speed.toFixed(0)} MB/s`
