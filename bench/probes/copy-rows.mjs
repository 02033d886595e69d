// @ts-check
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parse } from 'csv-parse/sync'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { copyRows } from '../../dist/index.js'

// node bench/probes/copy-rows.mjs FILE URL TABLE WAY
// Holds the rows of a CSV file as objects, then copies them into a table over one connection, and prints the seconds of that.

const [file = '', url = '', table = '', way = ''] = process.argv.slice(2)

/** @typedef {Record<string, string | number | null>} Row */

const integers = ['l_orderkey', 'l_partkey', 'l_suppkey', 'l_linenumber']

/** @returns {Row[]} */
function readObjects() {
  /** @type {Row[]} */
  const rows = parse(readFileSync(file), { columns: true })
  for (const row of rows) {
    for (const name of Object.keys(row)) if (row[name] === '') row[name] = null
    for (const name of integers) row[name] = Number(row[name])
  }
  return rows
}

/** @type {Record<string, string>} */
const escapes = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }
const special = /[\\\t\n\r]/g

/** @param {Row} row */
function line(row) {
  let text = ''
  for (const name of Object.keys(row)) {
    const value = row[name]
    if (text !== '') text += '\t'
    if (value == null) text += '\\N'
    else if (typeof value === 'string') {
      text += special.test(value)
        ? value.replace(special, (letter) => escapes[letter] ?? '')
        : value
    } else text += String(value)
  }
  return `${text}\n`
}

/** @param {Row[]} rows @param {number} bytes */
function* lines(rows, bytes) {
  let text = ''
  for (const row of rows) {
    text += line(row)
    if (text.length < bytes) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

/** @param {Row[]} rows @param {number} bytes  of a write */
async function byHand(rows, bytes) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const columns = Object.keys(rows[0] ?? {}).join(', ')
  const copy = client.query(copyFrom(`copy ${table} (${columns}) from stdin`))
  await pipeline(Readable.from(lines(rows, bytes)), copy)
  await client.end()
}

/** @type {Record<string, (rows: Row[]) => Promise<unknown>>} */
const ways = {
  'copy-rows': (rows) => copyRows({ to: url, table }, rows),
  'by-row': (rows) => byHand(rows, 1),
  'by-64k': (rows) => byHand(rows, 65536),
}

const copy = ways[way]
if (copy === undefined) throw new Error(`WAY is one of ${Object.keys(ways).join(', ')}`)
const rows = readObjects()
globalThis.gc?.()
const began = performance.now()
await copy(rows)
console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000 }))
