import { afterAll, beforeAll, expect, test } from 'vitest'
import { OwnServer } from '../helpers/faults/own-server.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/faults/proxy.ts'
import { startLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 20_000
const CLAIMED = `select coalesce(sum(loaded), 0)::int as n from millrace.claim join millrace.job on job.id = claim.job where job.key = 'rows'`

const dir = useTempDir()
let primary: OwnServer
let standby: OwnServer
let proxy: FaultProxy

beforeAll(async () => {
  primary = await OwnServer.open()
  await primary.query(`
    create table rows (id int, note text);
    create function slowly() returns trigger language plpgsql as $$
    begin if new.id % 500 = 0 then perform pg_sleep(0.05); end if; return new; end $$;
    create trigger slow before insert on rows for each row execute function slowly()`)
  standby = await primary.standby()
  proxy = await openFaultProxy(primary.url)
})

afterAll(async () => {
  await proxy.close()
  await Promise.all([primary.remove(), standby.remove()])
})

async function numberOf(server: OwnServer, sql: string): Promise<number> {
  const [row] = await server.query<{ n: number }>(sql)
  return row!.n
}

test('a load goes on at the server that takes over, and loads again what was not there yet', async () => {
  const lines = Array.from({ length: ROWS }, (_, i) => `${String(i)},row ${String(i)}\n`)
  const file = await dir.write('rows.csv', `id,note\n${lines.join('')}`)
  const none = { query: () => Promise.resolve([]), value: () => Promise.resolve(0) }
  const running = startLoad({ url: proxy.url, ...none }, [
    ...[file, '--table', 'rows', '--job', 'rows', '--chunk-size', '16KiB', '--lanes', '2'],
  ])
  const claimed = (server: OwnServer): Promise<number> => numberOf(server, CLAIMED).catch(() => 0)
  await until('the standby has a part', async () => (await claimed(standby)) > 2000)
  await standby.query(`alter system set primary_conninfo = ''`)
  await standby.query('select pg_reload_conf()')
  await until('it follows no more', async () => {
    return (await numberOf(standby, 'select count(*)::int as n from pg_stat_wal_receiver')) === 0
  })
  const followed = await claimed(standby)
  await until('the primary has more', async () => (await claimed(primary)) > followed + 1000)
  await primary.end('SIGKILL')
  proxy.to = standby.url
  // It takes connections, and no rows before it is promoted.
  await until('the load has met it', async () => {
    const sql = `select count(*)::int as n from pg_stat_activity where application_name like 'millrace%'`
    return (await numberOf(standby, sql)) > 0
  })
  await standby.query('select pg_promote()')
  const run = await running.ended
  expect(run.code, run.stderr).toBe(0)
  expect(await numberOf(standby, 'select count(*)::int as n from rows')).toBe(ROWS)
  expect(await numberOf(standby, 'select count(distinct id)::int as n from rows')).toBe(ROWS)
  expect(await claimed(standby)).toBe(ROWS)
})
