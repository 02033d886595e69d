// @ts-check
import { contest, contestTable, resultOf } from '../harness/contest.mjs'
import { millrace } from '../harness/millrace.mjs'
import { atMost } from '../harness/report.mjs'
import { ratioByRound } from '../harness/stats.mjs'

const withCheckpoint = millrace({
  lanes: 1,
  name: 'a commit and a claim every 8 MiB',
  args: ['--chunk-size', '8MiB'],
})

/**
 * The same load as one transaction without claims, such as `millrace({ lanes: 1, name, args, env })`.
 * Undefined: the loader has no such switch, and the cost is not measured.
 * @type {import('../harness/contest.mjs').Contender | undefined}
 */
const withoutCheckpoint = undefined

/**
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem')
  const contenders = [withCheckpoint, ...(withoutCheckpoint ? [withoutCheckpoint] : [])]
  const results = await contest(
    bench,
    contenders.map((contender) => ({ contender, data })),
  )
  const bare = withoutCheckpoint && resultOf(results, withoutCheckpoint.name)
  const cost =
    bare && ratioByRound(resultOf(results, withCheckpoint.name).seconds, bare.seconds).median - 1
  return {
    title: 'Cost of the checkpoint: 1 lane, lineitem',
    notes: withoutCheckpoint
      ? []
      : ['The loader has no switch to load without a checkpoint, so the cost is not measured.'],
    tables: [contestTable(results)],
    bars: [
      atMost(
        'time added by the checkpoint',
        0.03,
        cost,
        (share) => `${(share * 100).toFixed(1)} %`,
      ),
    ],
  }
}
