// @ts-check
import { fileURLToPath } from 'node:url'
import { datasets } from '../generate.mjs'
import { runTogether } from './child.mjs'

/**
 * Lets a baseline be run by hand: `node bench/baselines/NAME.mjs FILE URL TABLE`. The table exists and is empty.
 * Does nothing when the module is only imported.
 * @param {string} moduleUrl
 * @param {import('./contest.mjs').Contender} contender
 */
export async function standAlone(moduleUrl, contender) {
  if (!isMain(moduleUrl)) return
  const [path, url, table] = threeArguments()
  // Only the path is looked at by commands(); the rest is for preparing and judging.
  const data = {
    name: /** @type {keyof typeof datasets} */ (table),
    path,
    rows: 0,
    bytes: 0,
    columns: '',
  }
  const { seconds } = await runTogether(contender.commands({ data, url, table }))
  console.log(`${contender.name}: ${seconds.toFixed(2)} s`)
}

/** @param {string} moduleUrl */
export const isMain = (moduleUrl) => process.argv[1] === fileURLToPath(moduleUrl)

/** @returns {[file: string, url: string, table: string]} */
export function threeArguments() {
  const [file, url, table] = process.argv.slice(2)
  if (!file || !url || !table) {
    console.error(`usage: node ${process.argv[1]} FILE URL TABLE`)
    process.exit(2)
  }
  return [file, url, table]
}

/**
 * The command that runs a module with the three arguments.
 * @param {string} moduleUrl
 * @param {import('./contest.mjs').Load} load
 * @returns {import('./child.mjs').Command}
 */
export const nodeCommand = (moduleUrl, { data, url, table }) => ({
  program: process.execPath,
  args: [fileURLToPath(moduleUrl), data.path, url, table],
})
