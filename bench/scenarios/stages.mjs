// @ts-check
import { psqlCopy } from '../baselines/psql-copy.mjs'
import { psql } from '../baselines/psql.mjs'
import { rawPipe } from '../baselines/raw-pipe.mjs'
import { contest, contestTable, resultOf } from '../harness/contest.mjs'
import { millrace, millraceName, rootFolder } from '../harness/millrace.mjs'
import { atLeast, atMost, times } from '../harness/report.mjs'
import { ratioByRound } from '../harness/stats.mjs'

/** What the tables must hold, as the server itself would compute it. */
const views = {
  derive: `select l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount,
      round(l_extendedprice * (1 - l_discount), 2) as l_tax, l_returnflag, l_linestatus, l_shipdate, l_commitdate,
      l_receiptdate, l_shipinstruct, l_shipmode, l_comment from lineitem where l_linenumber < 7`,
  map: `select l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax,
      l_returnflag, l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode,
      upper(l_comment) as l_comment from lineitem`,
}

/** @param {string} name @param {string} file @param {{ view?: string }} [view] */
const staged = (name, file, view = {}) =>
  millrace({ name, lanes: 2, args: ['--stage', `${rootFolder}bench/stages/${file}`], ...view })

const derive = staged('derive one column, filter by another', 'derive-filter.ts', {
  view: views.derive,
})
const validate = staged('validate, six rules', 'validate.ts')
const map = staged('map to a new object', 'map.ts', { view: views.map })
const none = staged('an empty list of stages', 'none.ts')

/**
 * Loads lineitem through stages of TypeScript, on two lanes.
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem')
  const base = psql ? psqlCopy : rawPipe
  const plain = millrace({ lanes: 2 })
  const contenders = [base, plain, none, derive, validate, map]
  const results = await contest(
    bench,
    contenders.map((contender) => ({ contender, data })),
  )
  /** @param {import('../harness/contest.mjs').Contender} one @param {string} other */
  const ratio = (one, other) =>
    ratioByRound(resultOf(results, one.name).rowsPerSecond, resultOf(results, other).rowsPerSecond)
      .median
  return {
    title: 'Stages in TypeScript: lineitem, 2 lanes',
    notes: [
      'Each is a module given with --stage; its table is compared with what the server computes of the raw rows. Rows are those of the file, also where a stage drops some. \\copy loads the raw file.',
    ],
    tables: [contestTable(results)],
    bars: [
      atLeast(
        'derive and filter against psql \\copy',
        1.6,
        psql && ratio(derive, base.name),
        times,
      ),
      atLeast('validate against psql \\copy', 1.5, psql && ratio(validate, base.name), times),
      atLeast('map against psql \\copy', 0.8, psql && ratio(map, base.name), times),
      atMost(
        'time added by an empty list of stages',
        0.02,
        1 / ratio(none, millraceName(2)) - 1,
        (share) => `${(share * 100).toFixed(1)} %`,
      ),
    ],
  }
}
