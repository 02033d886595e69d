import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Connect } from '../../src/embedded/keeper.ts'
import { startEmbedded, stopEmbedded } from '../../src/embedded/manage.ts'
import type { OpenOptions } from '../../src/embedded/open.ts'
import { runCli, startCli } from '../helpers/cli.ts'
import { until } from '../helpers/loads.ts'

// Each round makes the server recover from its log.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const ROWS = 200_000
const CRASHES = 3

let base: string
let server: OpenOptions

const connect: Connect = async (url) => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'millrace-crash-'))
  await chmod(base, 0o755) // the server of root's tests runs as another user
  server = { stateDir: join(base, '.millrace'), rootDir: join(base, 'root'), connect }
})

afterAll(async () => {
  await stopEmbedded(server).catch(() => false)
  await rm(base, { recursive: true, force: true })
})

async function ask(url: string, sql: string): Promise<Record<string, string>> {
  const client = await connect(url)
  try {
    return ((await client.query(sql)).rows[0] ?? {}) as Record<string, string>
  } finally {
    await client.end()
  }
}

/** Ends the server as a crash of its machine would: without writing what it only has in memory. */
async function crash(): Promise<void> {
  const pidFile = join(server.stateDir, 'cluster', 'data', 'postmaster.pid')
  const pid = Number((await readFile(pidFile, 'utf8')).split('\n')[0])
  process.kill(pid, 'SIGQUIT')
  await until('the server is gone', () => {
    try {
      process.kill(pid, 0)
      return Promise.resolve(false)
    } catch {
      return Promise.resolve(true)
    }
  })
}

describe('a server that crashes', () => {
  test('keeps or loses the rows of a chunk together with its claim', async () => {
    const file = join(base, 'rows.csv')
    const rows = Array.from({ length: ROWS }, (_, i) => `${String(i)},row ${String(i)}\n`)
    await writeFile(file, `id,note\n${rows.join('')}`)
    let { url } = await startEmbedded(server)
    await ask(url, 'create table t (id int, note text)')
    const load = (): string[] => {
      const options = ['--to', url, '--table', 't', '--lanes', '2', '--chunk-size', '32KiB']
      return ['load', file, ...options, '--json']
    }

    for (let round = 1; round <= CRASHES; round++) {
      const count = 'select count(*) as rows from t'
      const before = Number((await ask(url, count))['rows'])
      const run = startCli(load())
      await until('rows are loaded', async () => Number((await ask(url, count))['rows']) > before)
      await crash()
      run.process.kill('SIGKILL')
      await run.result
      ;({ url } = await startEmbedded(server))
      const kept = await ask(
        url,
        'select (select count(*) from t) as rows, (select coalesce(sum(loaded), 0) from millrace.claim) as claimed',
      )
      expect(kept['rows'], `round ${String(round)}`).toBe(kept['claimed'])
    }

    const last = await runCli(load())
    expect(last.code, last.stderr).toBe(0)
    expect(
      await ask(
        url,
        'select count(*) as rows, count(distinct id) as ids, sum(id::bigint) as sum from t',
      ),
    ).toEqual({
      rows: String(ROWS),
      ids: String(ROWS),
      sum: String((ROWS * (ROWS - 1)) / 2),
    })
  })
})
