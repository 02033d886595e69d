// @ts-check
import { createReadStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parse } from 'csv-parse'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { isMain, nodeCommand, threeArguments } from '../harness/stand-alone.mjs'

/**
 * The textbook pipe: `createReadStream | csv-parse | one Transform per row | COPY text`.
 * @type {import('../harness/contest.mjs').Contender}
 */
export const csvParsePipe = {
  name: 'csv-parse, a Transform per row, COPY text',
  commands: (load) => [nodeCommand(import.meta.url, load)],
}

/** @type {Record<string, string>} */
const escapes = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

/** @param {string} value */
const copyText = (value) =>
  value === '' ? '\\N' : value.replace(/[\\\t\n\r]/g, (letter) => escapes[letter] ?? letter)

if (isMain(import.meta.url)) {
  const [file, url, table] = threeArguments()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const toCopyText = new Transform({
    writableObjectMode: true,
    transform(/** @type {Record<string, string>} */ row, _encoding, done) {
      done(null, `${Object.values(row).map(copyText).join('\t')}\n`)
    },
  })
  const copy = client.query(copyFrom(`copy ${table} from stdin`))
  await pipeline(createReadStream(file), parse({ columns: true }), toCopyText, copy)
  await client.end()
}
