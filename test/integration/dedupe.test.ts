import { setTimeout as sleep } from 'node:timers/promises'
import { appendFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import {
  type AnyStage,
  dedupe,
  filter,
  load,
  type LoadOptions,
  type MillraceError,
  type Row,
  validate,
} from '../../dist/index.js'
import { useDatabase } from '../helpers/database.ts'
import { duplicateRows, expectFirsts } from '../helpers/duplicates.ts'
import { backends, claimedRows, noBackendLeft, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

/** Keeps all rows, and the lanes in the thread of the caller. */
const local = (): AnyStage => filter(() => true)

/** The log of a load, its messages alone. */
function logTo(messages: string[]): NonNullable<LoadOptions['log']> {
  const note = (_: unknown, message?: string): void => {
    messages.push(message ?? String(_))
  }
  return { debug: () => undefined, info: note, warn: note, error: note }
}

/** What a load has failed with. */
async function failureOf(loading: Promise<unknown>): Promise<MillraceError> {
  const error = await loading.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Error)
  return error as MillraceError
}

describe('dedupe over all lanes', () => {
  const rows = duplicateRows(20_000, 5)

  test.each([
    ['one lane', 1, 8 << 20, []],
    ['four threads and small chunks', 4, 4096, []],
    ['four lanes of the caller and small chunks', 4, 4096, [local()]],
    ['three threads', 3, 40_000, []],
  ])('keeps the first row of the file: %s', async (_, lanes, chunkSize, more) => {
    const table = `lanes_${String(lanes)}_${String(chunkSize)}_${String(more.length)}`
    const input = await dir.write(`${table}.csv`, rows.csv)
    const stages = [...more, dedupe('k')]
    const summary = await load({ maxErrors: 0, input, to: db.url, table, lanes, chunkSize, stages })
    expect(summary.rows).toMatchObject({
      read: 20_000,
      loaded: rows.firsts.length,
      filtered: 20_000 - rows.firsts.length,
    })
    await expectFirsts(db, table, rows)
  })

  test('and of each of two keys, one behind the other', async () => {
    const input = await dir.write('two.csv', rows.csv)
    const stages = [dedupe('k'), dedupe('pad', { nulls: 'equal' })]
    await load({ maxErrors: 0, input, to: db.url, table: 'two', lanes: 4, chunkSize: 4096, stages })
    const lines = rows.csv.split('\n').slice(1)
    const seen = new Set<string>()
    const expected = rows.firsts.filter((n) => {
      const pad = lines[n - 1]!.split(',')[2]!
      return !seen.has(pad) && seen.add(pad)
    })
    await expectFirsts(db, 'two', { csv: '', firsts: expected })
  })

  test('stops at the row that there is no memory for, and goes on when there is', async () => {
    const text = Array.from({ length: 60_000 }, (_, i) => `${String(i + 1)},key ${String(i)},x\n`)
    const input = await dir.write('limit.csv', `n,k,pad\n${text.join('')}`)
    const options = { input, to: db.url, table: 'limited', lanes: 3, chunkSize: 65_536 }
    const small = [dedupe('k', { maxMemory: 1 << 20 })]
    const error = await failureOf(load({ maxErrors: 0, ...options, stages: small }))
    expect(error).toMatchObject({ code: 'STAGE_LIMIT', where: { source: input } })
    expect(error.where!.record).toBeGreaterThan(20_000)
    expect(error.where!.line).toBe(error.where!.record)
    expect(error.hint).toContain('maxMemory')
    const summary = await load({ maxErrors: 0, ...options, stages: [dedupe('k')] })
    expect(summary.resumed.rows + summary.rows.loaded).toBe(60_000)
    expect(summary.resumed.rows).toBeGreaterThan(0)
  })
})

describe('dedupe in a job that is gone on with', () => {
  const rows = duplicateRows(30_000, 6)
  const stop = 17_017

  test.each([
    ['threads', []],
    ['lanes of the caller', [local()]],
  ])('knows the keys of what is loaded, before and behind a gap: %s', async (_, more) => {
    const table = `gone_on_${String(more.length)}`
    const input = await dir.write(`${table}.csv`, rows.csv)
    await db.query(`create table ${table} (n int check (n <> ${String(stop)}), k text, pad text)`)
    const messages: string[] = []
    const options = {
      input,
      to: db.url,
      table,
      log: logTo(messages),
      stages: [...more, dedupe('k')],
    }
    // A row that the server refuses leaves a gap, with later ranges committed by the other lanes.
    const first = rows.firsts.includes(stop) ? stop : null
    expect(first).not.toBeNull()
    const error = await failureOf(load({ maxErrors: 0, ...options, lanes: 4, chunkSize: 8192 }))
    expect(error).toMatchObject({ code: 'TARGET_ROW_REFUSED', where: { record: stop + 1 } })
    await noBackendLeft(db)
    await db.query(`alter table ${table} drop constraint ${table}_n_check`)
    const loaded = Number(await db.value(`select count(*)::int from ${table}`))
    expect(loaded).toBeGreaterThan(100)
    const summary = await load({ maxErrors: 0, ...options, lanes: 2, chunkSize: 20_000 })
    expect(summary.resumed.rows).toBe(loaded)
    expect(summary.rows.loaded).toBe(rows.firsts.length - loaded)
    await expectFirsts(db, table, rows)
    const said = messages.filter((message) => message.includes('read again'))
    expect(said).toHaveLength(1)

    expect(await load(options)).toMatchObject({ status: 'already-complete', bytes: 0 })
    expect(messages.filter((message) => message.includes('read again'))).toHaveLength(1)
  })

  test('knows them when the file has grown', async () => {
    const lines = rows.csv.split('\n')
    const input = await dir.write('grown.csv', `${lines.slice(0, 20_001).join('\n')}\n`)
    const options = { input, to: db.url, table: 'grown', lanes: 3, chunkSize: 16_384 }
    await load({ maxErrors: 0, ...options, stages: [dedupe('k')] })
    await appendFile(input, lines.slice(20_001).join('\n'))
    const summary = await load({
      maxErrors: 0,
      ...options,
      stages: [dedupe('k')],
      resume: 'appended',
    })
    expect(summary.rows.read).toBe(10_000)
    await expectFirsts(db, 'grown', rows)
  })

  test('knows them from a stream that is read again', async () => {
    const cut = rows.csv.slice(0, 300_000)
    const whole = cut.slice(0, cut.lastIndexOf('\n') + 1)
    const options = { to: db.url, table: 'stream', job: 'stream', stages: [dedupe('k')] }
    await load({
      maxErrors: 0,
      ...options,
      input: Readable.from([Buffer.from(whole)]),
      lanes: 4,
      chunkSize: 8192,
    })
    const input = Readable.from([Buffer.from(rows.csv)])
    const summary = await load({ maxErrors: 0, ...options, input, lanes: 2, chunkSize: 20_000 })
    expect(summary.resumed.rows).toBeGreaterThan(1_000)
    await expectFirsts(db, 'stream', rows)
    const again = Readable.from([Buffer.from(rows.csv)])
    expect(await load({ maxErrors: 0, ...options, input: again })).toMatchObject({
      status: 'already-complete',
    })
    const other = Readable.from([Buffer.from(rows.csv.replace('\n7,', '\n8,'))])
    expect(await failureOf(load({ maxErrors: 0, ...options, input: other }))).toMatchObject({
      code: 'CHECKPOINT_INPUT_CHANGED',
    })
  })

  test('takes a stream that has become shorter for a changed one', async () => {
    const options = { to: db.url, table: 'shorter', job: 'shorter', stages: [dedupe('k')] }
    await load({
      maxErrors: 0,
      ...options,
      input: Readable.from([Buffer.from(rows.csv)]),
      chunkSize: 8192,
    })
    const input = Readable.from([Buffer.from(rows.csv.slice(0, 100_000))])
    expect(await failureOf(load({ maxErrors: 0, ...options, input }))).toMatchObject({
      code: 'CHECKPOINT_INPUT_CHANGED',
    })
  })
})

describe('dedupe of a stream whose columns are widened', () => {
  /** The first 64 MiB tell the types: of these rows 640 bytes each. */
  const ROWS = 140_000

  test.each([
    ['k', 'threads', []],
    ['v', 'threads', []],
    ['v', 'lanes', [local()]],
  ])('keeps first rows when column %s is: %s', { timeout: 60_000 }, async (wide, how, more) => {
    const lines: string[] = ['n,k,v,pad\n']
    const pad = 'x'.repeat(620)
    const known = new Set<number>()
    const firsts: number[] = []
    for (let n = 1; n <= ROWS; n++) {
      const key = (n * 7919) % 50_000
      const late = n === 106_000
      if (late ? wide === 'k' || !known.has(key) : !known.has(key)) firsts.push(n)
      if (!(late && wide === 'k')) known.add(key)
      const k = late && wide === 'k' ? 'late' : String(key)
      const v = late && wide === 'v' ? 'late' : String(n)
      lines.push(`${String(n)},${k},${v},${pad}\n`)
    }
    const fresh = firsts.includes(106_000)
    const input = Readable.from(lines.map((line) => Buffer.from(line)))
    const table = `widened_${wide}_${how}`
    const messages: string[] = []
    await load({
      maxErrors: 0,
      ...{ input, to: db.url, table, lanes: 2, log: logTo(messages) },
      // The late row is the first of its key, or nobody would see that it does not fit.
      stages: [...more, fresh ? dedupe('k') : dedupe(['k', 'v'])],
    })
    expect(messages.some((message) => message.includes('columns widened'))).toBe(true)
    const all = Array.from({ length: ROWS }, (_, i) => i + 1)
    await expectFirsts(db, table, { csv: '', firsts: fresh ? firsts : all })
  })
})

describe('dedupe over connections that are lost', () => {
  const rows = duplicateRows(20_000, 8)

  test.each([
    ['threads', 'lost', []],
    ['lanes of the caller', 'lost_local', [local()]],
  ])('keeps the first row of each key: %s', async (_, table, more) => {
    const input = await dir.write(`${table}.csv`, rows.csv)
    await db.query(`create table ${table} (n int, k text, pad text);
      create function ${table}() returns trigger language plpgsql as
      $$ begin if new.n % 300 < 2 then perform pg_sleep(0.02); end if; return new; end $$;
      create trigger slow before insert on ${table} for each row execute function ${table}()`)
    const stages = [...more, dedupe('k')]
    const loading = load({
      maxErrors: 0,
      input,
      to: db.url,
      table,
      lanes: 4,
      chunkSize: 16_384,
      stages,
      job: table,
    })
    loading.catch(() => undefined)
    let ended = 0
    for (let round = 0; round < 3; round++) {
      await until('more is loaded', async () => (await claimedRows(db, table)) > round * 500)
      const lanes = (await backends(db)).filter(({ role }) => role === 'lane')
      await db.query('select pg_terminate_backend(pid) from unnest($1::int[]) pid', [
        lanes.map(({ pid }) => pid),
      ])
      ended += lanes.length
      await sleep(100)
    }
    expect(ended).toBeGreaterThanOrEqual(6)
    const summary = await loading
    expect(summary.rows.loaded).toBe(rows.firsts.length)
    await expectFirsts(db, table, rows)
  })
})

describe('lanes that wait for their turn', () => {
  const rows = duplicateRows(40_000, 7)

  test('let go at once when the run is to stop', async () => {
    const input = await dir.write('abort.csv', rows.csv)
    await db.query(`create table stopped (n int, k text, pad text);
      create function slowly() returns trigger language plpgsql as
      $$ begin if new.n % 200 < 3 then perform pg_sleep(0.02); end if; return new; end $$;
      create trigger slow before insert on stopped for each row execute function slowly()`)
    for (const more of [[], [local()]]) {
      const stop = new AbortController()
      const options = { input, to: db.url, table: 'stopped', lanes: 4, chunkSize: 16_384 }
      const loading = load({
        maxErrors: 0,
        ...options,
        stages: [dedupe('k')],
        signal: stop.signal,
        job: `stop ${String(more.length)}`,
      })
      await sleep(700)
      const began = performance.now()
      stop.abort()
      expect(await failureOf(loading)).toMatchObject({ code: 'RUN_ABORTED' })
      expect(performance.now() - began).toBeLessThan(2_500)
      await noBackendLeft(db)
      await db.query('truncate stopped')
    }
  })

  test('let go when another lane fails', async () => {
    const input = await dir.write('fails.csv', `${rows.csv}40001,!,y\n${rows.csv.slice(8)}`)
    for (const more of [[], [local()]]) {
      const stages = [...more, validate({ k: { pattern: '^k' } }), dedupe('k')]
      const began = performance.now()
      const table = `fails_${String(more.length)}`
      const options = { input, to: db.url, table, lanes: 4, chunkSize: 8192, maxErrors: 0, stages }
      expect(await failureOf(load(options))).toMatchObject({
        code: 'STAGE_INVALID',
        where: { record: 40_002 },
      })
      expect(performance.now() - began).toBeLessThan(6_000)
      await noBackendLeft(db)
    }
  })

  test('let go when the thread of another lane ends', async () => {
    const input = await dir.write('ends.csv', rows.csv)
    const module = await dir.write(
      'ends.ts',
      `import { filter } from 'millrace'
       export default filter((row: { n: number }) => {
         if (row.n === 20_000) process.exit(0)
         return true
       })`,
    )
    const options = { input, to: db.url, table: 'ends', lanes: 3, chunkSize: 8192 }
    const error = await failureOf(load({ maxErrors: 0, ...options, stages: [module, dedupe('k')] }))
    expect(error.message).toContain('ended by itself')
    await noBackendLeft(db)
  })

  test.each([
    ['in the chunk before', 10, () => true],
    ['in rows without a key', 27_000, (i: number) => i % 26_000 > 5_000],
  ])('hold no lock that the one they wait for needs: %s', async (_, other, hasKey) => {
    // The second range is larger than what a lane encodes ahead, and its row 2,000 waits for the end of another's transaction.
    const pad = 'x'.repeat(980)
    const lines = Array.from({ length: 34_000 }, (_, i) => {
      const unique = i === other || i === 2_000 ? 'same' : `u${String(i)}`
      return `${String(i)},${hasKey(i) ? `k${String(i)}` : ''},${unique},${pad}\n`
    })
    const table = `locks_${String(other)}`
    const input = await dir.write(`${table}.csv`, `n,k,u,pad\n${lines.join('')}`)
    await db.query(`create table ${table} (n int, k text, u text unique, pad text);
      create function ${table}() returns trigger language plpgsql as
      $$ begin if new.n = 1500 then perform pg_sleep(0.7); end if; return new; end $$;
      create trigger slow before insert on ${table} for each row execute function ${table}()`)
    const began = performance.now()
    const options = {
      input,
      to: db.url,
      table,
      lanes: 2,
      chunkSize: 24 << 20,
      maxErrors: 0,
      stages: [dedupe('k')],
    }
    expect(await failureOf(load(options))).toMatchObject({ code: 'TARGET_ROW_REFUSED' })
    expect(performance.now() - began).toBeLessThan(6_000)
    await noBackendLeft(db)
  })
})

describe('a stage that asks', () => {
  test('is part of the job, but for its memory', async () => {
    const input = await dir.write('part.csv', 'n,k\n1,a\n2,a\n')
    const options = { input, to: db.url, table: 'part' }
    await load({ maxErrors: 0, ...options, stages: [dedupe('k')] })
    const roomier = await load({
      maxErrors: 0,
      ...options,
      stages: [dedupe('k', { maxMemory: 1 << 30 })],
    })
    expect(roomier.status).toBe('already-complete')
    const other = load({ maxErrors: 0, ...options, stages: [dedupe('n')] })
    expect(await failureOf(other)).toMatchObject({ code: 'CHECKPOINT_OPTIONS_CHANGED' })
  })

  test('has its first rows found by a set of its own when the types are', async () => {
    const input = await dir.write('typed.csv', 'n,k\n1,a\n2,a\n3,b\n')
    const copy = { m: (row: Row) => Number(row['n']) * 2 }
    const { derive } = await import('../../dist/index.js')
    const summary = await load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'typed',
      stages: [dedupe('k'), derive(copy)],
    })
    expect(summary.rows.loaded).toBe(2)
    expect(await db.query('select n, m from typed order by n')).toEqual([
      { n: 1, m: 2 },
      { n: 3, m: 6 },
    ])
  })
})
