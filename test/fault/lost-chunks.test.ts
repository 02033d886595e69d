import { writeFile } from 'node:fs/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OwnServer } from '../helpers/faults/own-server.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/faults/proxy.ts'
import { startLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 20_000

const dir = useTempDir()
let server: OwnServer
let proxy: FaultProxy
let file: string

beforeAll(async () => {
  server = await OwnServer.open()
  proxy = await openFaultProxy(server.url)
  file = dir.path('rows.csv')
  const rows = Array.from({ length: ROWS }, (_, i) => `${String(i)},row ${String(i)}\n`)
  await writeFile(file, `id,note\n${rows.join('')}`)
  // What is committed and not waited for stays in memory for as long as a test takes.
  await ask(`alter system set wal_writer_delay = '10s'`)
  await ask('alter system set wal_writer_flush_after = 0')
  await ask('select pg_reload_conf()')
  await ask(`
    create function slowly() returns trigger language plpgsql as $$
    begin if new.id % 500 = 0 then perform pg_sleep(0.05); end if; return new; end $$`)
})

afterAll(async () => {
  await proxy.close()
  await server.remove()
})

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

test.each(['plain', 'atomic'])(
  'chunks that a crash of the server has lost behind their commit are loaded again by the same run: %s',
  async (table) => {
    await ask(`create table ${table} (id int, note text)`)
    await ask(
      `create trigger slow before insert on ${table} for each row execute function slowly()`,
    )
    const db = { url: proxy.url, query: () => Promise.resolve([]), value: () => Promise.resolve(0) }
    const args = [file, '--table', table, '--job', table, '--chunk-size', '16KiB']
    const running = startLoad(db, [...args, ...(table === 'atomic' ? ['--atomic'] : [])])
    const claimed = `select coalesce(sum(loaded), 0) as n from millrace.claim join millrace.job on job.id = claim.job where key = '${table}'`
    await until('some are committed', async () => (await ask(claimed).catch(() => 0)) > 2000)
    await server.end('SIGQUIT')
    await server.start()
    proxy.to = server.url
    const run = await running.ended
    expect(run.code, run.stderr).toBe(0)
    expect(await ask(`select count(*) as n from ${table}`)).toBe(ROWS)
    expect(await ask(`select count(distinct id) as n from ${table}`)).toBe(ROWS)
    expect(await ask(claimed)).toBe(ROWS)
  },
)
