// @ts-check
import { contest, contestTable, resultOf } from '../harness/contest.mjs'
import { millrace } from '../harness/millrace.mjs'
import { atMost } from '../harness/report.mjs'
import { ratioByRound } from '../harness/stats.mjs'

const probe = new URL('../probes/one-transaction.mjs', import.meta.url).href
const preloaded = { NODE_OPTIONS: `--import=${probe}` }

const withCheckpoint = millrace({
  lanes: 1,
  name: 'a commit and a claim every 8 MiB',
  args: ['--chunk-size', '8MiB'],
  env: preloaded,
})

const oneTransaction = millrace({
  lanes: 1,
  name: 'one transaction, no claims',
  args: ['--chunk-size', '8MiB'],
  env: { ...preloaded, ONE_TRANSACTION: '1' },
})

/**
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem')
  const results = await contest(
    bench,
    [oneTransaction, withCheckpoint].map((contender) => ({ contender, data })),
  )
  const seconds = resultOf(results, withCheckpoint.name).seconds
  const cost = ratioByRound(seconds, resultOf(results, oneTransaction.name).seconds).median - 1
  return {
    title: 'Cost of the checkpoint: 1 lane, lineitem',
    notes: [
      'Both are the same program, with the same probe preloaded; in one of them it has a lane neither claim nor commit before its end.',
    ],
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
