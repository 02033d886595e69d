import { Client } from 'pg'
import { afterEach, expect, test } from 'vitest'
import { type TestDatabase, useDatabase } from '../helpers/database.ts'
import { killBehind } from '../helpers/kills.ts'
import { claimedRows, noBackendLeft, runLoad, startLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 20_000

const db = useDatabase()
const dir = useTempDir()
const live = `live_${String(process.pid)}`
const backup = `backup_${String(process.pid)}`

afterEach(async () => {
  for (const name of [live, backup]) await db.query(`drop database if exists ${name} with (force)`)
})

/** The database that loads go to: it is copied, and so has no connection that stays. */
const target: TestDatabase = {
  get url() {
    const url = new URL(db.url)
    url.pathname = `/${live}`
    return url.href
  },
  async query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: target.url })
    await client.connect()
    return (await client.query<Row>(sql, values).finally(() => client.end())).rows
  },
  async value(sql, values) {
    return Object.values((await target.query(sql, values))[0]!)[0]
  },
}

test.each(['while it ran', 'behind its end'])(
  'a load into a database that is restored, as it was in the middle of the load, goes on from there: %s',
  async (when) => {
    await db.query(`create database ${live}`)
    await target.query('create table rows (id int, note text)')
    await target.query(`create function slowly() returns trigger language plpgsql as $$
      begin if new.id % 500 = 0 then perform pg_sleep(0.02); end if; return new; end $$`)
    await target.query(
      'create trigger slow before insert on rows for each row execute function slowly()',
    )
    const lines = Array.from({ length: ROWS }, (_, i) => `${String(i)},row ${String(i)}\n`)
    const file = await dir.write('rows.csv', `id,note\n${lines.join('')}`)
    const args = [file, '--table', 'rows', '--job', 'rows', '--chunk-size', '16KiB']
    await killBehind(target, 'rows', 2000, startLoad(target, args))
    const saved = await claimedRows(target, 'rows')
    expect(saved).toBeLessThan(ROWS)
    await noBackendLeft(target)
    await db.query(`create database ${backup} template ${live}`)
    const more = startLoad(target, args)
    if (when === 'while it ran') await killBehind(target, 'rows', saved + 2000, more)
    else expect((await more.ended).code).toBe(0)
    expect(await claimedRows(target, 'rows')).toBeGreaterThan(saved)
    await noBackendLeft(target)
    await db.query(`drop database ${live}`)
    await db.query(`alter database ${backup} rename to ${live}`)
    const run = await runLoad(target, args)
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.resumed.rows).toBe(saved)
    expect(await target.value('select count(*)::int from rows')).toBe(ROWS)
    expect(await target.value('select count(distinct id)::int from rows')).toBe(ROWS)
  },
)
