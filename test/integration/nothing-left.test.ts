import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { noBackendLeft, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const program = fileURLToPath(new URL('../helpers/leaving-load.mjs', import.meta.url))

/** Their tables are there before: otherwise the start of a stream goes into finding types, and nothing is loaded yet. */
const endInTheMiddle = [
  'it is stopped in the middle',
  'it is stopped in the middle, inline',
  'its stream fails',
  'its stream fails, inline',
]

beforeAll(async () => {
  const rows = Array.from({ length: 20_000 }, (_, i) => `${String(i)},name ${String(i)}\n`)
  await dir.write('good.csv', `id,name\n${rows.join('')}`)
  await dir.write('bad.csv', `id,name\n${rows.with(9_000, 'many,x\n').join('')}`)
  await dir.write(
    'all.ts',
    "import { filter } from 'millrace'\nexport default filter(() => true as boolean)\n",
  )
  await dir.write(
    'throwing.ts',
    `import { filter, type Row } from 'millrace'
     export default filter((row: Row) => {
       if (row['id'] === 9_000) throw new Error('as it was told to')
       return true
     })`,
  )
  for (const table of ['bad', 'bad_inline', 'locked', 'locked_inline', ...endInTheMiddle]) {
    await db.query(`create table "${table}" (id int, name text)`)
  }
})

/** How a load has ended in a process of its own, and the process after it. */
interface Ended {
  /** `well`, or the code of its error. */
  readonly ended: string
  /** What it has left in the process. */
  readonly left: readonly string[]
  /** Threads that it has had. */
  readonly workers: number
}

/** Starts a process with a load; `stop` stops the load. */
function start(name: string, silentUrl = ''): { stop(): void; ended: Promise<Ended> } {
  const child = fork(program, [db.url, silentUrl, dir.path('.'), name], { silent: true })
  let output = ''
  child.stdout!.on('data', (data: Buffer) => (output += data.toString()))
  child.stderr!.on('data', (data: Buffer) => (output += data.toString()))
  const closed = once(child, 'close')
  const told = once(child, 'message')
  async function ended(): Promise<Ended> {
    try {
      const first = await Promise.race([told, closed.then(() => null)])
      // Nothing is left that could keep it; a machine with other work to do takes its time.
      await until(`the process ends: ${output}`, () => child.exitCode !== null, 5)
      await closed
      expect({ code: child.exitCode, output }).toEqual({ code: 0, output: '' })
      return first![0] as Ended
    } finally {
      child.kill('SIGKILL')
    }
  }
  const run = { stop: () => void child.send('stop'), ended: ended() }
  run.ended.catch(() => undefined) // who waits for it hears of it
  return run
}

describe('nothing is left of a load when', () => {
  test.each([
    ['all is loaded by threads', 'well', 2],
    ['all is loaded through an inline stage', 'well', 0],
    ['all is loaded through a stage module', 'well', 2],
    ['a stream is loaded', 'well', 2],
    ['all was loaded before', 'well', 2],
    ['all was loaded before, through a stage module', 'well', 2],
    ['a value does not fit its column', 'TARGET_ROW_REFUSED', 2],
    ['a value does not fit its column, inline', 'TARGET_ROW_REFUSED', 0],
    ['a row is rejected', 'well', 2],
    ['a row is rejected, inline', 'well', 0],
    ['too many rows are rejected', 'REJECTED_TOO_MANY', 2],
    ['an inline stage throws', 'STAGE_THREW', 0],
    ['a stage module throws', 'STAGE_THREW', 2],
    ['it is stopped in the middle', 'RUN_ABORTED', 2],
    ['it is stopped in the middle, inline', 'RUN_ABORTED', 0],
    ['it is stopped before types are inferred', 'RUN_ABORTED', 2],
    ['it was stopped before it began', 'RUN_ABORTED', 0],
    ['there is no server', 'TARGET_UNREACHABLE', 2],
    ['there is no such database', 'TARGET_REFUSED', 2],
    ['there is no such file', 'SOURCE_NOT_FOUND', 0],
    ['its stream fails', 'SOURCE_UNREADABLE', 2],
    ['its stream fails, inline', 'SOURCE_UNREADABLE', 0],
  ])('%s', async (name, ended, workers) => {
    expect(await start(name).ended).toEqual({ ended, left: [], workers })
    await noBackendLeft(db)
    if (endInTheMiddle.includes(name)) {
      expect(await db.value(`select count(*)::int from "${name}"`)).toBeGreaterThan(0)
    }
  })
})

test('nothing is left of a load that waits in vain when it gives up', async () => {
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  const blocker = new Client({ connectionString: db.url })
  await Promise.all([once(silent, 'listening'), blocker.connect()])
  await blocker.query('begin; lock table locked, locked_inline in share row exclusive mode')
  try {
    const { port } = silent.address() as AddressInfo
    const runs = [
      start('the server says nothing', `postgres://127.0.0.1:${String(port)}/none`),
      start('it is stopped while it waits for a lock'),
      start('it is stopped while it waits for a lock, inline'),
    ]
    const waiting = `select from pg_stat_activity
      where datname = current_database() and query ~ 'copy' and wait_event_type = 'Lock'`
    await until('all lanes wait', async () => (await db.query(waiting)).length === 4)
    for (const { stop } of runs.slice(1)) stop()
    expect(await Promise.all(runs.map((run) => run.ended))).toEqual([
      { ended: 'TARGET_UNREACHABLE', left: [], workers: 4 },
      { ended: 'RUN_ABORTED', left: [], workers: 2 },
      { ended: 'RUN_ABORTED', left: [], workers: 0 },
    ])
  } finally {
    await blocker.end()
    for (const socket of sockets) socket.destroy()
    silent.close()
  }
  // Only now: a backend that waits for a lock does not notice that its client is gone.
  await noBackendLeft(db)
})

test('what is left on purpose is seen', async () => {
  const { ended, left } = await start('no case: it leaves one of each').ended
  expect(ended).toBe('well')
  for (const kind of [
    /^resource Timeout/,
    /^file .*good\.csv$/,
    /^thread /,
    /^worker$/,
    /^listener of exit$/,
    /^listener of the signal$/,
  ]) {
    expect(left).toContainEqual(expect.stringMatching(kind))
  }
})
