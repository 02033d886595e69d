// @ts-check

/** @typedef {{ median: number, min: number, max: number }} Spread */

/**
 * @param {readonly number[]} values  at least one
 * @returns {Spread}
 */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (/** @type {number} */ index) => sorted[index] ?? NaN
  const middle = sorted.length >> 1
  const median = sorted.length % 2 ? at(middle) : (at(middle - 1) + at(middle)) / 2
  return { median, min: at(0), max: at(sorted.length - 1) }
}

/**
 * Compares two contenders round by round, since what slows a round slows both.
 * @param {readonly number[]} ours
 * @param {readonly number[]} theirs
 */
export const ratioByRound = (ours, theirs) =>
  spread(ours.map((value, round) => value / (theirs[round] ?? NaN)))
