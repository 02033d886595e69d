// @ts-check
import { isMainThread } from 'node:worker_threads'
import pg from 'pg'

/**
 * Preloaded into the loader (`NODE_OPTIONS=--import=...`) with ONE_TRANSACTION=1, this has each lane load all of its
 * chunks in one transaction and claim none of them; without, it changes nothing. Everything else is the same, so the
 * difference in time is what the checkpoint costs.
 */

const client = /** @type {{ query: Function, end: Function }} */ (
  /** @type {unknown} */ (pg.Client.prototype)
)
const connection = /** @type {{ query: Function }} */ (
  /** @type {unknown} */ (pg.Connection.prototype)
)
const { query, end } = client
const send = connection.query
let begun = false

if (!isMainThread && process.env.ONE_TRANSACTION === '1') {
  client.query = answer
  client.end = commitAndEnd
  connection.query = sendWithoutClaim
}

/** @this {pg.Client} @param {unknown[]} statement */
function answer(...statement) {
  if (statement[0] === 'commit') return Promise.resolve({})
  return query.apply(this, statement)
}

/** In the place of a claim comes a statement that answers alike. @this {pg.Connection} @param {string} text */
function sendWithoutClaim(text) {
  if (!text.startsWith('begin; with fence')) return send.call(this, text)
  const copy = text.slice(text.lastIndexOf('; copy ') + 2)
  const alike = `${begun ? '' : 'begin; '}select 1; ${copy}`
  begun = true
  return send.call(this, alike)
}

/** @this {pg.Client} */
async function commitAndEnd() {
  if (begun) await query.call(this, 'commit')
  return end.call(this)
}
