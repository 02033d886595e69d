import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { copyRows } from '../../src/index.ts'
import { useDatabase } from '../helpers/database.ts'
import { type FaultProxy, openFaultProxy } from '../helpers/faults/proxy.ts'
import { randomFrom } from '../helpers/random.ts'

const ROWS = 30_000
const ABORTS = 25

const db = useDatabase()
let proxy: FaultProxy

beforeAll(async () => {
  proxy = await openFaultProxy(db.url)
  await db.query('create table things (id int, note text)')
})

afterAll(() => proxy.close())

/** Rows, with a moment for other things after every hundred; the iterator may fail on its way. */
async function* things(failAt = Infinity): AsyncGenerator<{ id: number; note: string }> {
  for (let id = 0; id < ROWS; id++) {
    if (id === failAt) throw new Error('the source has failed')
    if (id % 100 === 0) await sleep(0)
    yield { id, note: `thing ${String(id)}`.padEnd(60) }
  }
}

async function connected(): Promise<{ client: Client; pid: number }> {
  const client = new Client({ connectionString: proxy.url })
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return { client, pid: rows[0]!.pid }
}

describe('a COPY whose source fails', () => {
  test('is given up by CopyFail and ROLLBACK, and its connection goes on', async () => {
    const { client, pid } = await connected()
    try {
      const sent: string[] = []
      proxy.onMessage = ({ type, text }) => {
        sent.push(type === 'Q' || type === 'P' ? text.split(' ')[0]! : type)
        return 'pass'
      }
      const rows = things(20_000)
      await expect(copyRows({ to: client, table: 'things' }, rows)).rejects.toThrow('has failed')
      expect(sent).toContain('d')
      expect(sent).not.toContain('commit')
      expect(sent.slice(sent.indexOf('f'))).toEqual(['f', 'rollback'])
      expect((await client.query('select count(*)::int as n from things')).rows).toEqual([{ n: 0 }])
      const [row] = await db.query('select state from pg_stat_activity where pid = $1', [pid])
      expect(row).toEqual({ state: 'idle' })
    } finally {
      proxy.calm()
      await client.end().catch(() => undefined)
    }
  })
})

describe('a COPY that is stopped at any moment', () => {
  test('ends in one of three ways: acknowledged, rolled back, or its connection gone', async () => {
    const seed = Number(process.env['MILLRACE_FAULT_SEED'] ?? 1)
    const random = randomFrom(seed)
    const ends = { committed: 0, undone: 0 }
    for (let round = 0; round < ABORTS; round++) {
      await db.query('truncate things')
      const { client, pid } = await connected()
      const stop = new AbortController()
      const timer = setTimeout(() => stop.abort(), random() * 400)
      // In some rounds the network is cut as well.
      if (round % 5 === 4) proxy.cutAtByte = proxy.passed + Math.floor(random() * 2_000_000)
      const done = await copyRows({ to: client, table: 'things' }, things(), {
        signal: stop.signal,
      }).then(
        ({ rows }) => rows,
        () => 0,
      )
      clearTimeout(timer)
      const found = Number(await db.value('select count(*)::int from things'))
      const about = `seed ${String(seed)}, round ${String(round)}`
      // An answer that was lost on the way is the one that cannot be known.
      if (round % 5 !== 4) expect(found, about).toBe(done)
      expect([0, ROWS], about).toContain(found)
      if (found === 0) ends.undone++
      else ends.committed++
      const [backend] = await db.query('select state from pg_stat_activity where pid = $1', [pid])
      expect([undefined, 'idle'], about).toContain(backend?.['state'])
      proxy.calm()
      await client.end().catch(() => undefined)
    }
    expect(ends.undone).toBeGreaterThan(2)
  })
})
