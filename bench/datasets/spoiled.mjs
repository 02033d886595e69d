// @ts-check
import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { seeded } from './random.mjs'

const seed = 54321

/**
 * Ways to make a record of lineitem bad, and what it is rejected with.
 * @typedef {object} Fault
 * @property {string} code
 * @property {(fields: string[], before: string) => string} spoil  gets the record's fields and the record before it
 */

/** @param {(fields: string[]) => unknown} change @returns {Fault['spoil']} */
const changed = (change) => (fields) => {
  change(fields)
  return fields.join(',')
}

/** Any table of these columns refuses them. @type {readonly Fault[]} */
export const plainFaults = [
  { code: '22P02', spoil: changed((fields) => (fields[1] = 'x1')) },
  { code: '23502', spoil: changed((fields) => (fields[0] = '')) },
  { code: '22001', spoil: changed((fields) => (fields[13] = 'y'.repeat(40))) },
  { code: '22003', spoil: changed((fields) => (fields[5] = '12345678901234.00')) },
  { code: '23514', spoil: changed((fields) => (fields[4] = `-${fields[4]}`)) },
  { code: 'SOURCE_BAD_ROW', spoil: changed((fields) => fields.push('z')) },
  { code: 'SOURCE_BAD_ROW', spoil: changed((fields) => (fields[15] = 'not \xff UTF-8')) },
]

/** With a primary key and a foreign key. The record before once more: which of the two is loaded makes no difference. */
export const keyedFaults = [
  ...plainFaults,
  { code: '23505', spoil: (/** @type {string[]} */ _, /** @type {string} */ before) => before },
  { code: '23503', spoil: changed((fields) => (fields[14] = 'ROCKET')) },
]

/**
 * @typedef {object} Spoiled
 * @property {string} path     the file with bad records
 * @property {string} sound    the same file without them
 * @property {number} bytes
 * @property {number} soundRows
 * @property {readonly number[]} bad  the bad records, from 1, the header being the first
 * @property {Map<string, number>} codes  how many are to be rejected with each
 */

/**
 * Writes a copy of a lineitem file in which a share of the records is bad, scattered by a seed, each fault in turn.
 * @param {import('../generate.mjs').DataFile} data
 * @param {string} name
 * @param {readonly Fault[]} faults
 * @param {number} share
 * @returns {Promise<Spoiled>}
 */
export async function spoil(data, name, faults, share) {
  const random = seeded(seed)
  const path = `${data.path}.${name}`
  const sound = `${path}-sound`
  const files = [createWriteStream(path), createWriteStream(sound)]
  const bad = []
  const codes = new Map()
  let record = 0
  let bytes = 0
  let before = ''
  const pieces = ['', '']
  for await (const line of createInterface({ input: createReadStream(data.path) })) {
    record++
    // The record before must be sound for its copy to be refused; fields in quotes may hold commas.
    const mayBe = record > 2 && bad.at(-1) !== record - 1 && !line.includes('"')
    const isBad = record > 1 && (share === 1 || (mayBe && random(1 << 20) < share * 2 ** 20))
    const fault = faults[bad.length % faults.length]
    const text = isBad && fault ? `${fault.spoil(line.split(','), before)}\n` : `${line}\n`
    if (isBad && fault) {
      bad.push(record)
      codes.set(fault.code, (codes.get(fault.code) ?? 0) + 1)
    } else pieces[1] += text
    pieces[0] += text
    bytes += text.length
    before = line
    if (record % 10_000 === 0) await flush(files, pieces)
  }
  await flush(files, pieces)
  for (const file of files) await finished(file.end())
  return { path, sound, bytes, soundRows: record - 1 - bad.length, bad, codes }
}

/** @param {readonly import('node:fs').WriteStream[]} files @param {string[]} pieces */
async function flush(files, pieces) {
  for (const [i, file] of files.entries()) {
    // What is not UTF-8 is one byte a character; the rest of lineitem is ASCII.
    if (!file.write(Buffer.from(pieces[i] ?? '', 'latin1'))) await once(file, 'drain')
    pieces[i] = ''
  }
}
