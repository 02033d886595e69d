// @ts-check
import { parseArgs } from 'node:util'

const usage =
  'usage: node bench/run.mjs [--rows N] [--runs N] [--only SCENARIO,...] [--to URL] [--quick]'

/**
 * @typedef {object} Options
 * @property {number} rows    rows of lineitem; the other datasets follow in proportion; 4,000,000 by default
 * @property {number} runs    measured rounds of each contender; 5 by default
 * @property {readonly string[]} only   scenarios to run; all by default
 * @property {string | undefined} to    a server; one of the bench's own by default
 * @property {boolean} quick  200,000 rows and one round: proves that everything works, measures nothing
 */

/** A mistake of the person at the keyboard: shown without a stack. */
export class UsageError extends Error {}

/**
 * @param {readonly string[]} argv
 * @param {readonly string[]} scenarios  the names that --only may have
 * @returns {Options}
 */
export function readOptions(argv, scenarios) {
  const values = parse(argv)
  const quick = values.quick ?? false
  const only = values.only?.split(',') ?? []
  for (const name of only) {
    if (!scenarios.includes(name)) {
      throw new UsageError(`no scenario is called ${name}; there are: ${scenarios.join(', ')}`)
    }
  }
  return {
    rows: count('--rows', values.rows, quick ? 200_000 : 4_000_000),
    runs: count('--runs', values.runs, quick ? 1 : 5),
    only,
    to: values.to ?? process.env['MILLRACE_BENCH_URL'],
    quick,
  }
}

/** @param {readonly string[]} argv */
function parse(argv) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        rows: { type: 'string' },
        runs: { type: 'string' },
        only: { type: 'string' },
        to: { type: 'string' },
        quick: { type: 'boolean' },
      },
    })
    return values
  } catch (error) {
    throw new UsageError(`${/** @type {Error} */ (error).message}\n${usage}`)
  }
}

/**
 * @param {string} option
 * @param {string | undefined} text
 * @param {number} otherwise
 */
function count(option, text, otherwise) {
  const number = text === undefined ? otherwise : Number(text.replaceAll('_', ''))
  if (!Number.isInteger(number) || number < 1) {
    throw new UsageError(`${option} needs a whole number above 0\n${usage}`)
  }
  return number
}
