// @ts-check
import { fileURLToPath } from 'node:url'

export const rootFolder = fileURLToPath(new URL('../../', import.meta.url))
const program = `${rootFolder}src/cli/bin.mjs`

/**
 * @typedef {object} Settings
 * @property {number} lanes
 * @property {string} [name]  in the tables; `millrace, N lanes` by default
 * @property {readonly string[]} [args]  added to the command line
 * @property {Record<string, string>} [env]
 * @property {string} [view]  what its table must hold, see Contender
 */

let jobs = 0
/** A job no run has seen, so that no checkpoint makes a load shorter than it is. */
export const freshJob = () => `bench-${++jobs}`

/** @param {number} lanes */
export const millraceName = (lanes) => `millrace, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`

/**
 * Our loader as a child process, the way a user runs it.
 * @param {Settings} settings
 * @returns {import('./contest.mjs').Contender}
 */
export function millrace(settings) {
  return {
    name: settings.name ?? millraceName(settings.lanes),
    commands: (load) => [loadCommand(load, settings, freshJob())],
    ...(settings.view === undefined ? {} : { view: settings.view }),
    check: (stdout, data) => void loadReport(stdout, settings.view ? undefined : data.rows),
  }
}

/**
 * @param {import('./contest.mjs').Load} load
 * @param {Settings} settings
 * @param {string} job
 * @returns {import('./child.mjs').Command}
 */
export function loadCommand({ data, url, table }, { lanes, args = [], env = {} }, job) {
  return {
    program: process.execPath,
    args: [
      ...[program, 'load', data.path, '--to', url, '--table', table, '--lanes', `${lanes}`],
      ...['--job', job, '--no-create', '--json', ...args],
    ],
    env,
  }
}

/**
 * Reads the object that `--json` prints, and holds it to the rows of the file.
 * @param {string} stdout
 * @param {number} [rowsLoaded]  what it must say; anything by default
 */
export function loadReport(stdout, rowsLoaded) {
  /** @type {{status?: string, job?: string, rows?: {read: number, loaded: number}, peakRssBytes?: number}} */
  let report
  try {
    report = JSON.parse(stdout)
  } catch (error) {
    throw new Error(`millrace --json printed no JSON object:\n${stdout}`, { cause: error })
  }
  const wrongRows = rowsLoaded !== undefined && report.rows?.loaded !== rowsLoaded
  if (report.status !== 'complete' || wrongRows) {
    throw new Error(`millrace reports another load than the one asked for:\n${stdout}`)
  }
  return report
}
