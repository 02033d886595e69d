import { setTimeout as sleep } from 'node:timers/promises'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { useDisturbedLoads } from '../helpers/disturbed-loads.ts'
import { openFaultProxy } from '../helpers/faults/proxy.ts'
import { claimedRows, noBackendLeft, runLoad, startLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const loads = useDisturbedLoads(db, dir)

const LANES = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name like 'millrace lane%'`

/** Every row from number 13,000 on is refused by an error of the server's. */
async function failAt13000(table: string, sqlstate: string): Promise<void> {
  await db.query(`
    create function fail_${table}() returns trigger language plpgsql as $$
    begin
      if new.id = 13000 then raise exception 'a fault' using errcode = '${sqlstate}'; end if;
      return new;
    end $$;
    create trigger fail before insert on ${table} for each row execute function fail_${table}()`)
}

describe('a fault', () => {
  test('is not tried again when nobody wants it: exit code 75, and the next run goes on', async () => {
    await loads.makeTable('no_retry', 'slow')
    const load = startLoad(db, [...loads.argsOf('no_retry'), '--retry-for', '0'])
    await loads.inTheMiddle('no_retry')
    await db.query(LANES)
    const run = await load.ended
    expect(run.code, run.stderr).toBe(75)
    expect(run.report.error?.code).toBe('TARGET_CONNECTION_LOST')
    await noBackendLeft(db)
    await loads.expectResumes('no_retry')
  })

  test('that does not pass ends the load when the time for it is over, and is reported once a lane', async () => {
    await loads.makeTable('for_long', 'fast')
    await failAt13000('for_long', '53100')
    const args = [...loads.argsOf('for_long'), '--lanes', '1', '--retry-for', '2s']
    const run = await runLoad(db, args)
    expect(run.code, run.stderr).toBe(75)
    expect(run.report.error).toMatchObject({
      code: 'TARGET_TEMPORARY',
      hint: "the server's disk is full: space may be made",
    })
    expect(run.stderr.match(/a lane was held up/g)).toHaveLength(1)
    expect(run.seconds).toBeGreaterThan(2)
    expect(await claimedRows(db, 'for_long')).toBeGreaterThan(10_000)
    await noBackendLeft(db)
    await db.query('drop trigger fail on for_long')
    await loads.expectResumes('for_long')
  })

  test('that never passes is no fault: what is permanent ends the load at once', async () => {
    await loads.makeTable('permanent', 'fast')
    await failAt13000('permanent', '42501')
    const run = await runLoad(db, loads.argsOf('permanent'))
    expect(run.code).toBe(1)
    expect(run.stderr).not.toMatch(/trying again/)
    expect(run.seconds).toBeLessThan(20)
    await noBackendLeft(db)
    await db.query('drop trigger fail on permanent')
    await loads.expectResumes('permanent')
  })

  test('in the preparation begins it anew', async () => {
    const proxy = await openFaultProxy(db.url)
    try {
      // The first statement of each kind is lost, until the load gets through.
      const lost = new Set<string>()
      proxy.onMessage = ({ type, text }) => {
        if (type !== 'Q' && type !== 'P') return 'pass'
        if (lost.has(text) || lost.size === 4) return 'pass'
        lost.add(text)
        return lost.size % 2 === 0 ? 'cut' : 'lose answer'
      }
      const run = await runLoad({ ...db, url: proxy.url }, loads.argsOf('begun_anew'))
      expect(run.code, run.stderr).toBe(0)
      expect(run.stderr).toMatch(/the load has to begin again/)
      await loads.expectExact('begun_anew')
    } finally {
      await proxy.close()
    }
  })
})

describe('a connection that is silent', () => {
  test('is left alone while the server waits for a lock, however long', async () => {
    await loads.makeTable('patient', 'fast')
    await loads.other.query('begin; lock table patient in share row exclusive mode')
    const load = startLoad(db, [...loads.argsOf('patient'), '--io-timeout', '1s'])
    await until('all lanes wait', async () => (await loads.lockWaits()) === 3)
    await sleep(4_000)
    expect(await loads.lockWaits()).toBe(3)
    await loads.other.query('commit')
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).not.toMatch(/held up/)
    await loads.expectExact('patient')
  })

  test.each([
    ['before it says whether it encrypts', ''],
    ['in the TLS handshake', 'S'],
  ])('is given up %s', async (_, answer) => {
    const silent = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.write(answer))
    }).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    try {
      const { port } = silent.address() as AddressInfo
      const url = `postgres://u:p@127.0.0.1:${String(port)}/d?sslmode=require`
      const args = [loads.file, '--table', 'never', '--io-timeout', '1s', '--retry-for', '0']
      const run = await startLoad({ ...db, url }, args).ended
      expect([run.code, run.report.error?.code], run.stderr).toEqual([75, 'TARGET_UNREACHABLE'])
      expect(run.seconds).toBeLessThan(20)
    } finally {
      silent.close()
    }
  })

  test('is made anew when it is dead, though nobody has said so; the server lets go of what it held', async () => {
    await loads.makeTable('dead', 'slow')
    const proxy = await openFaultProxy(db.url)
    try {
      const through = { ...db, url: proxy.url }
      const load = startLoad(through, [...loads.argsOf('dead'), '--io-timeout', '1s'])
      await loads.inTheMiddle('dead')
      proxy.stall()
      const run = await load.ended
      expect(run.code, run.stderr).toBe(0)
      expect(run.stderr).toMatch(/a lane was held up/)
      await loads.expectExact('dead')
    } finally {
      await proxy.close()
    }
  })
})
