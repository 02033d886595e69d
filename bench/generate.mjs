// @ts-check
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { lineitem } from './datasets/lineitem.mjs'
import { narrow } from './datasets/narrow.mjs'
import { seeded } from './datasets/random.mjs'
import { text } from './datasets/text.mjs'
import { wide } from './datasets/wide.mjs'

export const datasets = { lineitem, narrow, wide, text }
export const dataFolder = fileURLToPath(new URL('data/', import.meta.url))

const seed = 12345
const blockRows = 10_000

/**
 * @typedef {keyof typeof datasets} DatasetName
 *
 * @typedef {object} DataFile
 * @property {DatasetName} name
 * @property {string} path
 * @property {number} rows
 * @property {number} bytes
 * @property {string} columns  the column list of its table
 */

/**
 * Gives a data file of this many rows, made now or found from an earlier run.
 *
 * Shape: the same name and rows are the same bytes everywhere. A file counts as found when the note beside it
 *        names this version and row count, and its size is the noted one.
 * @param {DatasetName} name
 * @param {number} rows
 * @param {AbortSignal} [signal]
 * @returns {Promise<DataFile>}
 */
export async function dataFile(name, rows, signal) {
  const dataset = datasets[name]
  const path = `${dataFolder}${name}-${rows}.csv`
  const note = { rows, version: dataset.version, seed }
  let bytes = await foundBytes(path, note)
  if (bytes === undefined) {
    await mkdir(dataFolder, { recursive: true })
    // A binary copy or halves made from older bytes must not outlive them.
    for (const derived of ['.pgbin', '.half1', '.half2', '.json']) {
      await rm(path + derived, { force: true })
    }
    bytes = await write(dataset, rows, path, signal)
    await writeFile(`${path}.json`, JSON.stringify({ ...note, bytes }))
  }
  return { name, path, rows, bytes, columns: dataset.columns }
}

/**
 * @param {string} path
 * @param {Record<string, number>} wanted
 * @returns {Promise<number | undefined>}
 */
async function foundBytes(path, wanted) {
  try {
    const note = JSON.parse(await readFile(`${path}.json`, 'utf8'))
    const same = Object.entries(wanted).every(([key, value]) => note[key] === value)
    return same && (await stat(path)).size === note.bytes ? note.bytes : undefined
  } catch {
    return undefined
  }
}

/**
 * @param {import('./datasets/random.mjs').Dataset} dataset
 * @param {number} rows
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
async function write(dataset, rows, path, signal) {
  const random = seeded(seed)
  const unfinished = `${path}.unfinished`
  const file = await open(unfinished, 'w')
  try {
    let bytes = (await file.write(dataset.header)).bytesWritten
    for (let row = 0; row < rows;) {
      signal?.throwIfAborted()
      let block = ''
      for (const end = Math.min(rows, row + blockRows); row < end; row++) {
        block += dataset.record(row, random)
      }
      const bytesOfBlock = Buffer.from(block)
      await file.writeFile(bytesOfBlock)
      bytes += bytesOfBlock.length
    }
    await file.close()
    await rename(unfinished, path)
    return bytes
  } catch (error) {
    await file.close().catch(() => undefined)
    await rm(unfinished, { force: true })
    throw error
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = '', rows = ''] = process.argv.slice(2)
  if (!Object.hasOwn(datasets, name) || !(Number(rows) > 0)) {
    console.error(`usage: node bench/generate.mjs ${Object.keys(datasets).join('|')} ROWS`)
    process.exit(2)
  }
  console.log(await dataFile(/** @type {DatasetName} */ (name), Number(rows)))
}
