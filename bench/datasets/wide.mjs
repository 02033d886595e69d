// @ts-check
import { isoDate, phrase, twoDigits } from './random.mjs'

/** @typedef {import('./random.mjs').Random} Random */

/** @param {Random} random @param {number} digits */
function hex(random, digits) {
  let text = ''
  for (let i = 0; i < digits; i++) text += '0123456789abcdef'[random(16)]
  return text
}

/** @type {readonly [type: string, value: (random: Random) => string][]} */
const kinds = [
  ['bigint', (random) => `${random(10000000) * 100003}`],
  ['int', (random) => `${random(16000000) - 8000000}`],
  ['smallint', (random) => `${random(60000) - 30000}`],
  ['numeric(14,4)', (random) => `${random(1000000)}.${1000 + random(9000)}`],
  ['double precision', (random) => `${random(10000000) / 1000}`],
  ['boolean', (random) => 'tf'[random(2)] ?? 't'],
  ['date', isoDate],
  [
    'timestamp',
    (random) =>
      `${isoDate(random)} ${twoDigits(random(24))}:${twoDigits(random(60))}:${twoDigits(random(60))}`,
  ],
  ['uuid', (random) => [8, 4, 4, 4, 12].map((digits) => hex(random, digits)).join('-')],
  ['text', (random) => phrase(1 + random(3), random)],
]
const columnCount = 100
const kindOf = (/** @type {number} */ column) =>
  /** @type {(typeof kinds)[number]} */ (kinds[column % kinds.length])
const names = Array.from({ length: columnCount }, (_, column) => `c${column}`)

/**
 * 100 columns of ten types in turn, one value in 20 NULL: the cost of many typed fields a row.
 * @type {import('./random.mjs').Dataset}
 */
export const wide = {
  name: 'wide',
  version: 1,
  share: 1 / 20,
  columns: names.map((name, column) => `${name} ${kindOf(column)[0]}`).join(', '),
  header: `${names.join(',')}\n`,
  record(_row, random) {
    let line = ''
    for (let column = 0; column < columnCount; column++) {
      const isNull = random(20) === 0
      line += (column ? ',' : '') + (isNull ? '' : kindOf(column)[1](random))
    }
    return `${line}\n`
  },
}
