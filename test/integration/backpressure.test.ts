import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { noBackendLeft } from '../helpers/loads.ts'
import { openSlowProxy } from '../helpers/slow-proxy.ts'

const db = useDatabase()
const program = fileURLToPath(new URL('../helpers/measured-writer.mjs', import.meta.url))

const MEBIBYTE = 1 << 20
/** Slower than any load, fast enough to get far in a few seconds. */
const BYTES_PER_SECOND = 20 * MEBIBYTE
const LANES = 2
const CHUNK = 4 * MEBIBYTE
/** All that a load reads ahead of what is committed: two chunks for each lane, one being cut, one being filled. */
const POOL = (LANES * 2 + 2) * CHUNK
/**
 * When the source has given this, a load has filled its pool, and has committed as much again: its threads, buffers and
 * blocks are all there. Whoever holds more from here on gathers.
 */
const WARM = 2 * POOL
/** A load is stopped when the server has had this: by then it has been through more than twice its pool, warm. */
const ENOUGH = 80 * MEBIBYTE
/**
 * The pool, and what is not in it yet: what the stream holds, a piece or two of 256 KiB, and the piece it is copied
 * from. What is in sockets needs no room here: the chunk it is of stays in the pool until it is committed.
 */
const MOST_AHEAD = POOL + MEBIBYTE
/**
 * V8 lets some 32 MiB of buffers become garbage before it looks; a third of the bound was measured. Without backpressure
 * memory grows by the size of the source, 256 MiB here, less what is there when it is warm.
 */
const MOST_GROWTH = 64 * MEBIBYTE

interface Sample {
  /** Bytes that the source has given; of these, bytes that the proxy has let through. */
  readonly pulled: number
  readonly passed: number
  readonly rss: number
  readonly external: number
}

interface Run {
  readonly ended: string
  readonly samples: readonly Sample[]
}

type Message = { readonly ended: string } | Omit<Sample, 'passed'>

/** Has a process write through a narrow link, until the link has taken enough or the source is at its end. */
async function write(writer: string, table: string): Promise<Run> {
  await db.query(`create table ${table} (id int, pad text)`)
  const proxy = await openSlowProxy(db.url, BYTES_PER_SECOND)
  const child = fork(program, [proxy.url, table, writer, String(LANES), String(CHUNK)])
  const exited = once(child, 'exit')
  const samples: Sample[] = []
  let ended = ''
  child.on('message', (message: Message) => {
    if ('ended' in message) {
      ended = message.ended
      // It would write for long what it has gathered.
      if (writer === 'careless') child.kill('SIGKILL')
      return
    }
    samples.push({ ...message, passed: proxy.passed })
    if (proxy.passed > ENOUGH && child.connected) child.send('stop')
  })
  try {
    await exited
    return { ended, samples }
  } finally {
    child.kill('SIGKILL')
    await proxy.close()
  }
}

/** What is wrong with the memory of a run, and with how far it reads ahead of the server. */
function problemsOf({ samples }: Run): string[] {
  const problems: string[] = []
  const ahead = Math.max(...samples.map(({ pulled, passed }) => pulled - passed))
  if (ahead > MOST_AHEAD) problems.push(`reads ahead: ${mebibytes(ahead)}`)
  const warm = samples.filter(({ pulled }) => pulled >= WARM)
  if (warm[0] === undefined) return ['never gets warm']
  for (const kind of ['rss', 'external'] as const) {
    const growth = Math.max(...warm.map((sample) => sample[kind])) - warm[0][kind]
    if (growth > MOST_GROWTH) problems.push(`${kind} grows: ${mebibytes(growth)}`)
  }
  return problems
}

function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`
}

describe('a source that is faster than the server', () => {
  test.each(['threads', 'inline stages'])(
    'is held back, and memory stays flat: %s',
    { timeout: 60_000 },
    async (writer) => {
      const table = writer.replace(' ', '_')
      const run = await write(writer, table)
      expect(problemsOf(run)).toEqual([])
      expect(run.ended).toBe('RUN_ABORTED')
      expect(run.samples.at(-1)!.passed).toBeGreaterThan(ENOUGH)
      await noBackendLeft(db)

      const careless = await write('careless', `${table}_careless`)
      expect(problemsOf(careless)).toEqual([
        expect.stringMatching(/^reads ahead/),
        expect.stringMatching(/^rss grows/),
        expect.stringMatching(/^external grows/),
      ])
    },
  )
})
