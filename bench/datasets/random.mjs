// @ts-check

/**
 * @typedef {(below: number) => number} Random a whole number in [0, below), below at most 2^24
 *
 * @typedef {object} Dataset
 * @property {string} name     file and table name
 * @property {number} version  raised when the same seed begins to give other bytes
 * @property {number} share    rows of this dataset for every row asked of the bench
 * @property {string} columns  the column list of its CREATE TABLE
 * @property {string} header   first line of the file, with its line end
 * @property {(row: number, random: Random) => string} record  row number `row`, with its line end
 */

/**
 * Makes a seeded random source, the same on every machine.
 *
 * Source: the linear congruential generator of ISO C's rand() example, low byte dropped.
 * @param {number} seed
 * @returns {Random}
 */
export function seeded(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
}

/** @param {number} n */
export const twoDigits = (n) => (n < 10 ? `0${n}` : `${n}`)

/** @param {Random} random */
export function isoDate(random) {
  const year = 1992 + random(7)
  const month = 1 + random(12)
  const day = 1 + random(28)
  return `${year}-${twoDigits(month)}-${twoDigits(day)}`
}

export const words = (
  'the quick brown fox jumps over lazy dog carefully final deposits sleep furiously express ' +
  'packages above regular accounts'
).split(' ')

/**
 * Joins `count` random words with spaces.
 * @param {number} count
 * @param {Random} random
 */
export function phrase(count, random) {
  let text = ''
  for (let i = 0; i < count; i++) text += (i ? ' ' : '') + words[random(words.length)]
  return text
}
