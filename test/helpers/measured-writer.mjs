// @ts-check
// Writes a source that is faster than any server to a table, and tells what that does to this process: a program of
// its own, so that nothing else is in its memory. Any message to it stops a load.
import { Readable } from 'node:stream'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { filter, load, MillraceError } from '../../dist/index.js'

const MEBIBYTE = 1 << 20
/** Rows of 512 bytes; on the wire they are 1 % longer at most. */
const ROWS = Buffer.from(`1234567,${'x'.repeat(503)}\n`.repeat(512))
/** Far more than a load is let get to, and no danger to the machine in the memory of who does not wait. */
const MOST = 256 * MEBIBYTE

const [url = '', table = '', writer, lanes, chunkSize] = process.argv.slice(2)
const stop = new AbortController()
process.once('message', () => stop.abort())

let pulled = 0
const source = new Readable({
  highWaterMark: ROWS.length,
  read() {
    // Later, and in memory of its own, as bytes come from a file or a socket.
    setImmediate(() => {
      if (pulled === MOST) return void this.push(null)
      pulled += ROWS.length
      this.push(Buffer.from(ROWS))
      if (pulled % MEBIBYTE === 0) tell()
    })
  },
})

function tell() {
  const { rss, external } = process.memoryUsage()
  process.send?.({ pulled, rss, external })
}

/** What must not be done: nobody looks at what write() says. */
async function writeCarelessly() {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const copy = client.query(copyFrom(`copy ${table} from stdin (format csv)`))
  for await (const piece of source) copy.write(piece)
}

async function writeByLoad() {
  await load({
    input: source,
    to: url,
    table,
    dialect: { header: false },
    columns: ['id', 'pad'],
    lanes: Number(lanes),
    chunkSize: Number(chunkSize),
    stages: writer === 'inline stages' ? [filter(() => true)] : [],
    signal: stop.signal,
  })
}

try {
  await (writer === 'careless' ? writeCarelessly() : writeByLoad())
  process.send?.({ ended: 'all is written' })
} catch (error) {
  process.send?.({ ended: error instanceof MillraceError ? error.code : String(error) })
}
process.disconnect?.()
