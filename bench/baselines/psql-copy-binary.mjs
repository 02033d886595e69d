// @ts-check
import { access } from 'node:fs/promises'
import { standAlone } from '../harness/stand-alone.mjs'
import { copyCommand } from './psql.mjs'

/**
 * The server's own limit on one connection: `\copy` of a binary file that somebody else has parsed and encoded.
 * @type {import('../harness/contest.mjs').Contender}
 */
export const psqlCopyBinary = {
  name: 'psql \\copy, binary file made before',
  async prepare({ database, signal, log }, data) {
    const made = await access(binaryPath(data)).then(
      () => true,
      () => false,
    )
    if (made) return
    log(`  preparing ${binaryPath(data)}`)
    await database.serverLoad(data, signal)
    await database.exportBinary(data.name, binaryPath(data))
  },
  commands: (load) => [copyCommand(load, binaryPath(load.data), 'format binary')],
}

/** @param {import('../generate.mjs').DataFile} data */
const binaryPath = (data) => `${data.path}.pgbin`

await standAlone(import.meta.url, psqlCopyBinary)
