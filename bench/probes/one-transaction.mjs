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

/** @this {pg.Client} @param {any[]} statement */
function answer(...statement) {
  const [copy] = statement
  if (copy === 'commit') return Promise.resolve({})
  if (typeof copy === 'object' && 'handleCopyInResponse' in copy) {
    const { handleCopyInResponse } = copy
    copy.handleCopyInResponse = () => {
      for (const text of ['COMMIT', 'INSERT 0 1']) copy.handleCommandComplete({ text })
      handleCopyInResponse.call(copy)
    }
  }
  return query.apply(this, statement)
}

/** Sends the COPY alone; what stands before it in its message is answered above. @this {pg.Connection} @param {string} text */
function sendWithoutClaim(text) {
  if (!text.includes('with fence')) return send.call(this, text)
  const copy = text.slice(text.lastIndexOf('; copy ') + 2)
  const alone = begun ? copy : `begin; ${copy}`
  begun = true
  return send.call(this, alone)
}

/** @this {pg.Client} */
async function commitAndEnd() {
  if (begun) await query.call(this, 'commit')
  return end.call(this)
}
