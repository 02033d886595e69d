// @ts-check
// Loads in one of many ways, and tells what the load has left behind in this process: a program of its own, so that
// it can be seen to end by itself. Any message to it stops the load.
import { getEventListeners, once } from 'node:events'
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { filter, load, MillraceError } from '../../dist/index.js'

const [url = '', silentUrl = '', dir = '', name = ''] = process.argv.slice(2)
const stop = new AbortController()
process.once('message', () => stop.abort())
/** @type {Worker[]} */
const workers = []
process.on('worker', (worker) => workers.push(worker))

const good = join(dir, 'good.csv')
const bad = join(dir, 'bad.csv')
const module = join(dir, 'all.ts')
const all = filter(() => true)
const throwing = filter((/** @type {import('../../dist/index.js').Row} */ row) => {
  if (row['id'] === 9_000) fail()
  return true
})

/** @returns {never} */
function fail() {
  throw new Error('as it was told to')
}

/**
 * A stream without an end; does something when a part of it is loaded.
 *
 * @param {() => void} act
 */
function endless(act) {
  function* pieces() {
    yield Buffer.from('id,name\n')
    for (let piece = 1; ; piece++) {
      yield Buffer.from('1,one\n'.repeat(8192))
      if (piece === 64) act()
    }
  }
  return Readable.from(pieces(), { objectMode: false })
}

/** The address of a database that is not there. */
function noDatabase() {
  const address = new URL(url)
  address.pathname += '_none'
  return address.href
}

function stopped() {
  stop.abort()
  return endless(fail)
}

/**
 * By the names of the tests.
 *
 * @type {Record<string, () => object | Promise<object>>}
 */
const cases = {
  'all is loaded by threads': () => ({ input: good }),
  'all is loaded through an inline stage': () => ({ input: good, stages: [all] }),
  'all is loaded through a stage module': () => ({ input: good, stages: [module] }),
  'a stream is loaded': () => ({ input: Readable.from(['id\n1\n']) }),
  'all was loaded before': () => warm,
  'all was loaded before, through a stage module': async () => {
    const again = { ...warm, job: `${warm.job}, module`, stages: [module] }
    await load(again)
    return again
  },
  'a value does not fit its column': () => ({ input: bad, table: 'bad' }),
  'a value does not fit its column, inline': () => ({
    ...{ input: bad, table: 'bad_inline' },
    stages: [all],
  }),
  'a row is rejected': () => ({ input: bad, table: 'bad', maxErrors: '100%' }),
  'a row is rejected, inline': () => ({
    ...{ input: bad, table: 'bad_inline', maxErrors: '100%' },
    stages: [all],
  }),
  'too many rows are rejected': () => ({
    input: bad,
    table: 'bad',
    job: 'many',
    maxErrors: '0.001%',
  }),
  'an inline stage throws': () => ({ input: good, stages: [throwing] }),
  'a stage module throws': () => ({ input: good, stages: [join(dir, 'throwing.ts')] }),
  'it is stopped in the middle': () => ({ input: endless(() => stop.abort()) }),
  'it is stopped in the middle, inline': () => ({
    input: endless(() => stop.abort()),
    stages: [all],
  }),
  'it is stopped before types are inferred': () => ({ input: endless(() => stop.abort()) }),
  'it was stopped before it began': () => ({ input: stopped() }),
  'there is no server': () => ({ input: endless(fail), to: 'postgres://127.0.0.1:1/none' }),
  'there is no such database': () => ({ input: good, to: noDatabase() }),
  'there is no such file': () => ({ input: join(dir, 'missing.csv') }),
  'its stream fails': () => ({ input: endless(fail) }),
  'its stream fails, inline': () => ({ input: endless(fail), stages: [all] }),
  'the server says nothing': () => ({ input: good, to: silentUrl, ioTimeout: 1500 }),
  'it is stopped while it waits for a lock': () => ({ input: good, table: 'locked' }),
  'it is stopped while it waits for a lock, inline': () => ({
    ...{ input: good, table: 'locked_inline' },
    stages: [all],
  }),
}

/** What there is in the process that a load could leave behind. */
function present() {
  const linux = process.platform === 'linux'
  return [
    ...process.getActiveResourcesInfo().map((type) => `resource ${type}`),
    ...(linux ? readdirSync('/proc/self/fd').map(fileOf) : []),
    ...(linux ? readdirSync('/proc/self/task').map((id) => `thread ${id}`) : []),
    ...workers.filter(({ threadId }) => threadId !== -1).map(() => 'worker'),
    ...process
      .eventNames()
      .flatMap((event) => Array(process.listenerCount(event)).fill(`listener of ${String(event)}`)),
    ...getEventListeners(stop.signal, 'abort').map(() => 'listener of the signal'),
  ]
}

/** @param {string} fd */
function fileOf(fd) {
  try {
    return `file ${readlinkSync(`/proc/self/fd/${fd}`)}`
  } catch {
    return 'the folder that is read'
  }
}

/**
 * What a list has beyond another.
 *
 * @param {readonly string[]} before
 * @param {readonly string[]} after
 */
function added(before, after) {
  const rest = [...before]
  return after.filter((what) => {
    const at = rest.indexOf(what)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

/** Leaves one of each behind, as a load must not; gives the way to be rid of them. */
async function litter() {
  const timer = setTimeout(fail, 60_000)
  const file = openSync(good, 'r')
  const listener = () => undefined
  process.on('exit', listener)
  stop.signal.addEventListener('abort', listener)
  const worker = new Worker('setInterval(() => 0, 1000)', { eval: true })
  await once(worker, 'online')
  return async () => {
    clearTimeout(timer)
    closeSync(file)
    await worker.terminate()
  }
}

const options = { to: url, lanes: 2, chunkSize: 65536, maxErrors: 0, signal: stop.signal }
const warm = { ...options, input: good, table: 'warm', job: `warm ${process.pid}` }
// What the first loads make for good, such as libuv's threads, is not left behind by the next.
await load(warm)
await load({ ...warm, job: `${warm.job}, inline`, stages: [all] })

/** @type {import('../../dist/index.js').LoadOptions} */
const chosen = { ...options, input: good, table: `"${name}"`, ...(await cases[name]?.()) }
const before = present()
const begun = workers.length
let ended = 'well'
try {
  await load(chosen)
} catch (error) {
  ended = error instanceof MillraceError ? error.code : String(error)
}
const release = name in cases ? null : await litter()
await setImmediate() // what has settled it, such as the look for a file, is under way until its callback returns
const left = added(before, present())
const { input } = chosen
if (typeof input !== 'string' && !input.destroyed) left.push('stream')
process.send?.({ ended, left, workers: workers.length - begun })
process.disconnect?.()
await release?.()
