// @ts-check
import { phrase } from './random.mjs'

/**
 * Long texts, every field quoted, with quotes, commas, line ends and two-byte letters inside.
 * @type {import('./random.mjs').Dataset}
 */
export const text = {
  name: 'text',
  version: 1,
  share: 1 / 4,
  columns: 'id bigint, title text, author text, body text, tags text',
  header: '"id","title","author","body","tags"\n',
  record(row, random) {
    const sentences = Array.from({ length: 2 + random(4) }, () => phrase(6 + random(6), random))
    const glue = [', ', '. ""', '\n', ' – ']
    const body = sentences.reduce((all, next) => all + (glue[random(4)] ?? ' ') + next)
    const title = phrase(3 + random(5), random)
    const tags = `${phrase(1, random)},${phrase(1, random)}`
    return `"${row + 1}","${title}","Zoë ""Z"" ${phrase(1, random)}","${body}","${tags}"\n`
  },
}
