import { type CustomTypesConfig, Pool, types } from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { copyRows, filter, load, status, tableWriter } from '../../src/index.ts'
import { useDatabase } from '../helpers/database.ts'
import { backends } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const pools: Pool[] = []

function poolOf(max: number): Pool {
  const pool = new Pool({ connectionString: db.url, max, options: '-c statement_timeout=4321' })
  pool.on('error', () => undefined) // end() does not wait for its connections, which the end of the database may cut
  pools.push(pool)
  return pool
}

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()))
})

const csv = (rows: number): string =>
  `id,note\n${Array.from({ length: rows }, (_, i) => `${String(i)},n${String(i)}`).join('\n')}\n`

describe('a load through a pool of the caller', () => {
  test('borrows a connection for each lane, and leaves the pool as it was', async () => {
    const pool = poolOf(3)
    const input = await dir.write('many.csv', csv(50_000))
    const stages = [filter((row: { id: number }) => row.id % 2 === 0)]
    const options = { input, to: pool, table: 'many', stages, chunkSize: 65_536 }
    const summary = await load(options)
    expect(summary).toMatchObject({ status: 'complete', lanes: 2, rows: { loaded: 25_000 } })
    expect(await db.value('select count(distinct id)::int from many')).toBe(25_000)
    expect(pool.waitingCount).toBe(0)
    expect(pool.idleCount).toBe(pool.totalCount)
    const { rows } = await pool.query('show statement_timeout')
    expect(rows).toEqual([{ statement_timeout: '4321ms' }])
    expect(await backends(db)).toEqual([])
    expect(await load(options)).toMatchObject({ status: 'already-complete' })
    expect(await status({ to: pool })).toHaveLength(1)
  })

  test('is stopped and gone on with', async () => {
    const pool = poolOf(4)
    const input = await dir.write('stopped.csv', csv(50_000))
    const stop = new AbortController()
    const options = { input, to: pool, table: 'stopped', lanes: 1, chunkSize: 16_384 }
    const onProgress = (): void => undefined
    const log = {
      debug: (_: object, message?: string) => void (message === 'chunk committed' && stop.abort()),
      info: onProgress,
      warn: onProgress,
      error: onProgress,
    }
    await expect(load({ ...options, signal: stop.signal, log })).rejects.toMatchObject({
      code: 'RUN_ABORTED',
    })
    expect(pool.waitingCount).toBe(0)
    expect(await load(options)).toMatchObject({ status: 'complete' })
    expect(await db.value('select count(distinct id)::int from stopped')).toBe(50_000)
  })

  test('is told of a connection that was lost in the pool, and gives it back', async () => {
    const pool = poolOf(3)
    let lost = Infinity
    const stale = {
      options: pool.options,
      async connect() {
        const client = await pool.connect()
        if (lost-- <= 0) return client
        client.on('error', () => undefined) // it may come before the client is lent
        const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
        await db.query('select pg_terminate_backend($1)', [rows[0]!.pid])
        return client
      },
    }
    const input = await dir.write('lost.csv', csv(10))
    const options = { input, to: stale, table: 'lost' }
    await expect(load({ ...options, retryFor: 0 })).rejects.toMatchObject({
      code: 'TARGET_CONNECTION_LOST',
    })
    await expect(copyRows({ to: stale, table: 'lost' }, [{ id: 1 }])).rejects.toMatchObject({
      code: 'TARGET_CONNECTION_LOST',
    })
    expect(pool.totalCount).toBe(0)
    lost = 2
    expect(await load(options)).toMatchObject({ status: 'complete', rows: { loaded: 10 } })
  })

  test('that reads times in its own way is as good', async () => {
    const pool = new Pool({
      connectionString: db.url,
      max: 3,
      types: {
        getTypeParser: (oid: number, format?: 'text') =>
          oid === types.builtins.TIMESTAMPTZ
            ? (text: string) => `at ${text}`
            : types.getTypeParser(oid, format),
      } as CustomTypesConfig,
    })
    pools.push(pool)
    const input = await dir.write('times.csv', csv(10))
    const options = { input, to: pool, table: 'times', job: 'times' }
    await load(options)
    expect((await load(options)).completedAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
    expect(await status({ to: pool, job: 'times' })).toMatchObject([
      {
        startedAt: expect.stringMatching(/Z$/) as string,
        endedAt: expect.stringMatching(/Z$/) as string,
      },
    ])
    const held = await tableWriter(options)
    await expect(load(options)).rejects.toMatchObject({ code: 'CHECKPOINT_HELD' })
    held.destroy()
    await new Promise((resolve) => held.once('close', resolve))
  })

  test('that has fewer connections than lanes is refused', async () => {
    const input = await dir.write('few.csv', csv(10))
    await expect(load({ input, to: poolOf(3), table: 'few', lanes: 3 })).rejects.toMatchObject({
      code: 'CONFIG_BAD_VALUE',
      message: '--lanes is 3, expected 1 to 2',
    })
  })
})
