// @ts-check
import { createReadStream, createWriteStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { standAlone } from '../harness/stand-alone.mjs'
import { copyCommand } from './psql.mjs'

const longestLine = 1 << 20

/**
 * What two connections reach when somebody has split the file by hand: two `\copy` at once.
 *
 * Shape: for files without line ends inside of fields; the split looks for no quotes.
 * @type {import('../harness/contest.mjs').Contender}
 */
export const psqlCopyHalves = {
  name: '2 x psql \\copy, file split before',
  async prepare({ log }, data) {
    const sizes = await Promise.all(halves(data).map(sizeOf))
    if (sizes.reduce((sum, size) => sum + size) === data.bytes) return
    log(`  preparing the halves of ${data.path}`)
    const middle = await lineEndBehind(data, data.bytes >> 1)
    const [first, second] = halves(data)
    await pipeline(createReadStream(data.path, { end: middle - 1 }), createWriteStream(first))
    await pipeline(createReadStream(data.path, { start: middle }), createWriteStream(second))
  },
  commands(load) {
    const [first, second] = halves(load.data)
    return [copyCommand(load, first, 'format csv, header'), copyCommand(load, second, 'format csv')]
  },
}

/**
 * @param {import('../generate.mjs').DataFile} data
 * @returns {[string, string]}
 */
const halves = ({ path }) => [`${path}.half1`, `${path}.half2`]

/** @param {string} path */
const sizeOf = (path) =>
  stat(path).then(
    ({ size }) => size,
    () => NaN,
  )

/**
 * @param {import('../generate.mjs').DataFile} data
 * @param {number} position
 */
async function lineEndBehind({ path }, position) {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(longestLine),
      0,
      longestLine,
      position,
    )
    const found = buffer.subarray(0, bytesRead).indexOf(10)
    if (found < 0) throw new Error(`${path}: no line end behind byte ${position}`)
    return position + found + 1
  } finally {
    await file.close()
  }
}

await standAlone(import.meta.url, psqlCopyHalves)
