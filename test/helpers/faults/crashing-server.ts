import { writeFile } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { type RunningLoad, startLoad } from '../loads.ts'
import type { useTempDir } from '../temp-dir.ts'
import { OwnServer } from './own-server.ts'
import { type FaultProxy, openFaultProxy } from './proxy.ts'

/** A server that crashes and comes back, and loads of one file into it that find it again. */
export interface CrashingServer {
  /** Runs SQL; the number `n` of the last statement's first row. */
  ask(sql: string): Promise<number>
  /** Starts a load into a table; the job has its name. */
  load(table: string, ...more: string[]): RunningLoad
  /** As when its machine loses power; it comes back at once. */
  crash(): Promise<void>
}

/** Makes the server, and a file of rows, before the tests of a file. Its function `slowly` is for a trigger. */
export function useCrashingServer(
  dir: ReturnType<typeof useTempDir>,
  rows: number,
): CrashingServer {
  let server: OwnServer
  let proxy: FaultProxy

  async function ask(sql: string): Promise<number> {
    const client = new pg.Client({ connectionString: server.url })
    client.on('error', () => undefined)
    await client.connect()
    try {
      const found = (await client.query(sql)) as { rows?: { n: string }[] }
      return Number(found.rows?.[0]?.n)
    } finally {
      await client.end()
    }
  }

  beforeAll(async () => {
    server = await OwnServer.open()
    proxy = await openFaultProxy(server.url)
    const lines = Array.from({ length: rows }, (_, i) => `${String(i)},row ${String(i)}\n`)
    await writeFile(dir.path('rows.csv'), `id,note\n${lines.join('')}`)
    await ask(`
      create function slowly() returns trigger language plpgsql as $$
      begin if new.id % 500 = 0 then perform pg_sleep(0.05); end if; return new; end $$`)
  })

  afterAll(async () => {
    await proxy.close()
    await server.remove()
  })

  return {
    ask,
    load(table, ...more) {
      const none = { query: () => Promise.resolve([]), value: () => Promise.resolve(0) }
      const args = [dir.path('rows.csv'), '--table', table, '--job', table]
      return startLoad({ url: proxy.url, ...none }, [...args, '--chunk-size', '16KiB', ...more])
    },
    async crash() {
      await server.end('SIGQUIT')
      await server.start()
      proxy.to = server.url
    },
  }
}
