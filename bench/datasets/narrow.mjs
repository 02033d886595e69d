// @ts-check
import { words } from './random.mjs'

/**
 * Four short columns and no quote anywhere: the cost of a row, not of its bytes.
 * @type {import('./random.mjs').Dataset}
 */
export const narrow = {
  name: 'narrow',
  version: 1,
  share: 2,
  columns: 'id int, quantity int, score double precision, label text',
  header: 'id,quantity,score,label\n',
  record: (row, random) =>
    `${row + 1},${random(1000)},${random(10000000) / 1000},${words[random(words.length)]}\n`,
}
