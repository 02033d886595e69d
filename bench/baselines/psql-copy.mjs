// @ts-check
import { standAlone } from '../harness/stand-alone.mjs'
import { copyCommand } from './psql.mjs'

/**
 * What users compare with: `\copy` of the CSV file on one connection.
 * @type {import('../harness/contest.mjs').Contender}
 */
export const psqlCopy = {
  name: 'psql \\copy',
  commands: (load) => [copyCommand(load, load.data.path, 'format csv, header')],
}

await standAlone(import.meta.url, psqlCopy)
