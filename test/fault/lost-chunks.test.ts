import { beforeAll, expect, test } from 'vitest'
import { useCrashingServer } from '../helpers/faults/crashing-server.ts'
import { until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 20_000

const { ask, load, crash } = useCrashingServer(useTempDir(), ROWS)

beforeAll(async () => {
  // What is committed and not waited for stays in memory for as long as a test takes.
  await ask(`alter system set wal_writer_delay = '10s'`)
  await ask('alter system set wal_writer_flush_after = 0')
  await ask('select pg_reload_conf()')
})

test.each(['plain', 'atomic'])(
  'chunks that a crash of the server has lost behind their commit are loaded again by the same run: %s',
  async (table) => {
    await ask(`create table ${table} (id int, note text)`)
    await ask(
      `create trigger slow before insert on ${table} for each row execute function slowly()`,
    )
    const running = load(table, ...(table === 'atomic' ? ['--atomic'] : []))
    const claimed = `select coalesce(sum(loaded), 0) as n from millrace.claim join millrace.job on job.id = claim.job where key = '${table}'`
    await until('some are committed', async () => (await ask(claimed).catch(() => 0)) > 2000)
    await crash()
    const run = await running.ended
    expect(run.code, run.stderr).toBe(0)
    expect(await ask(`select count(*) as n from ${table}`)).toBe(ROWS)
    expect(await ask(`select count(distinct id) as n from ${table}`)).toBe(ROWS)
    expect(await ask(claimed)).toBe(ROWS)
  },
)
