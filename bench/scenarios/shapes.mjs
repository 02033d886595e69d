// @ts-check
import { psqlCopy } from '../baselines/psql-copy.mjs'
import { psql } from '../baselines/psql.mjs'
import { rawPipe } from '../baselines/raw-pipe.mjs'
import { datasets } from '../generate.mjs'
import { contest, contestTable } from '../harness/contest.mjs'
import { millrace } from '../harness/millrace.mjs'

/**
 * Loads one more kind of data on two lanes. It holds no bar: it shows where the lineitem figures do not carry over.
 * @param {'narrow' | 'wide' | 'text'} name
 * @param {string} title
 * @returns {(bench: import('../harness/bench.mjs').Bench) => Promise<import('../harness/report.mjs').Section>}
 */
const shape = (name, title) => async (bench) => {
  const data = await bench.data(name, bench.rows * datasets[name].share)
  const contenders = [psql ? psqlCopy : rawPipe, millrace({ lanes: 2 })]
  const results = await contest(
    bench,
    contenders.map((contender) => ({ contender, data })),
  )
  return { title, notes: [], tables: [contestTable(results)], bars: [] }
}

export const narrow = shape('narrow', 'narrow: 4 short columns')
export const wide = shape('wide', 'wide: 100 columns of ten types')
export const text = shape('text', 'text: every field quoted, quotes and line ends inside')
