// @ts-check
import { csvParsePipe } from '../baselines/csv-parse-pipe.mjs'
import { psqlCopyBinary } from '../baselines/psql-copy-binary.mjs'
import { psqlCopyHalves } from '../baselines/psql-copy-halves.mjs'
import { psqlCopy } from '../baselines/psql-copy.mjs'
import { psql } from '../baselines/psql.mjs'
import { rawPipe } from '../baselines/raw-pipe.mjs'
import { contest, contestTable, resultOf } from '../harness/contest.mjs'
import { millrace, millraceName } from '../harness/millrace.mjs'
import { atLeast, times } from '../harness/report.mjs'
import { ratioByRound } from '../harness/stats.mjs'

/** The textbook pipe is given a tenth of the rows: all of them would take longer than the whole bench. */
const textbookShare = 1 / 10

/**
 * @param {import('../harness/bench.mjs').Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem')
  const fewer = await bench.data('lineitem', bench.rows * textbookShare)
  const withPsql = psql ? [psqlCopy, psqlCopyHalves, psqlCopyBinary] : []
  const loaders = [...withPsql, rawPipe, ...[1, 2, 4].map((lanes) => millrace({ lanes }))]
  const results = await contest(bench, [
    ...loaders.map((contender) => ({ contender, data })),
    { contender: csvParsePipe, data: fewer },
  ])

  /** @param {number} lanes @param {import('../harness/contest.mjs').Contender} base */
  const ratio = (lanes, base) =>
    ratioByRound(
      resultOf(results, millraceName(lanes)).rowsPerSecond,
      resultOf(results, base.name).rowsPerSecond,
    ).median
  return {
    title: 'lineitem: 16 columns, 5 % of the rows quoted',
    notes: [
      'The textbook pipe loads a tenth of the rows and is compared by rows/s. Its start-up weighs more in that than in the other times.',
      ...(psql ? [] : ['There is no psql on this machine, so nothing is compared with it.']),
    ],
    tables: [contestTable(results)],
    bars: [
      atLeast('1 lane against psql \\copy', 1.2, psql && ratio(1, psqlCopy), times),
      atLeast('2 lanes against psql \\copy', 1.9, psql && ratio(2, psqlCopy), times),
      atLeast('2 lanes against the textbook pipe', 15, ratio(2, csvParsePipe), times),
    ],
  }
}
