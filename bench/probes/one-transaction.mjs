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
const { query, end } = client
let begun = false

if (!isMainThread && process.env.ONE_TRANSACTION === '1') {
  client.query = answer
  client.end = commitAndEnd
}

/** @this {pg.Client} @param {string | { name?: string }} statement @param {unknown[]} rest */
function answer(statement, ...rest) {
  if (statement === 'commit' || (statement === 'begin' && begun)) return Promise.resolve({})
  if (statement === 'begin') begun = true
  else if (typeof statement === 'object' && statement.name === 'millrace-claim') {
    return Promise.resolve({ rowCount: 1 })
  }
  return query.call(this, statement, ...rest)
}

/** @this {pg.Client} */
async function commitAndEnd() {
  if (begun) await query.call(this, 'commit')
  return end.call(this)
}
