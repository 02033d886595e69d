import { once } from 'node:events'
import { appendFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { runLoad, startLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

describe('a load that cannot begin', () => {
  test('says that a stream needs a table', async () => {
    const run = await runLoad(db, ['-'], { input: 'a\n1\n' })
    expect([run.code, run.report.error?.code]).toEqual([2, 'CONFIG_USAGE'])
    expect(run.report.error?.hint).toContain('--table')
  })

  test('says that a directory is no file', async () => {
    const run = await runLoad(db, [dir.path('.'), '--table', 't'])
    expect([run.code, run.report.error?.code]).toEqual([1, 'SOURCE_UNREADABLE'])
  })

  test('says that nobody listens, and that it may be tried again', async () => {
    const file = await dir.write('nobody.csv', 'a\n1\n')
    const url = new URL(db.url)
    url.port = await closedPort()
    const run = await loadTo(url, file)
    expect([run.code, run.errorCode]).toEqual([75, 'TARGET_UNREACHABLE'])
  })

  test.each([
    ['a wrong password', (url: URL) => (url.password = 'wrong')],
    ['no password', (url: URL) => (url.password = '')],
    ['an unknown database', (url: URL) => (url.pathname = '/not_there')],
  ])('says what the server has against %s, and never a password', async (_, change) => {
    const file = await dir.write('refused.csv', 'a\n1\n')
    const url = new URL(db.url)
    change(url)
    const run = await loadTo(url, file)
    expect([run.code, run.errorCode], run.stderr).toEqual([1, 'TARGET_REFUSED'])
    expect(run.stderr).toContain('error: ')
    for (const secret of [url.password || 'no one', new URL(db.url).password]) {
      expect(run.stderr + run.stdout).not.toContain(secret)
    }
  })

  test.each([
    ['that is none', 'nonsense'],
    ['that cannot be read', 'postgres://user:hunter2@[bad/x'],
    [
      'that names a file that is missing',
      'postgres://user:hunter2@127.0.0.1:1/x?sslrootcert=/none',
    ],
  ])('takes an address %s for a wrong option', async (_, to) => {
    const file = await dir.write('address.csv', 'a\n1\n')
    const run = await runCli(['load', file, '--to', to, '--json'])
    const { error } = JSON.parse(run.stdout) as { error: { code: string } }
    expect([run.code, error.code], run.stderr).toEqual([2, 'CONFIG_BAD_VALUE'])
    expect(run.stderr + run.stdout).not.toMatch(/hunter2|bug/)
  })

  test('refuses a state schema that a newer version has written', async () => {
    await db.query('create schema future; create table future.version as select 99 as version')
    const file = await dir.write('future.csv', 'a\n1\n')
    const run = await runLoad(db, [file, '--state-schema', 'future'])
    expect([run.code, run.report.error?.code]).toEqual([4, 'CHECKPOINT_SCHEMA'])
    expect(run.report.error?.message).toContain('99')
  })
})

describe('a file that is written to while it is read', () => {
  test('fails the load, which keeps what it has committed', async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => `${String(i)},text of a row\n`)
    const file = await dir.write('written.csv', `id,note\n${rows.join('')}`)
    await db.query('create table written (id int, note text)')
    await db.query('begin; lock table written in exclusive mode')
    const load = startLoad(db, [file, '--chunk-size', '4KiB'])
    try {
      await until(
        'a chunk waits for the table',
        async () =>
          (await db.value(
            `select count(*) > 0 from pg_locks where relation = 'written'::regclass and not granted`,
          )) === true,
      )
      await appendFile(file, '1,more\n')
    } finally {
      await db.query('commit')
    }
    const run = await load.ended
    expect([run.code, run.report.error?.code]).toEqual([1, 'SOURCE_CHANGED_WHILE_READING'])
    expect(run.report.error?.message).toContain('became longer')
    expect(await db.value('select count(*) > 0 from written')).toBe(true)
  })
})

async function loadTo(url: URL, file: string) {
  const run = await runCli(['load', file, '--to', url.href, '--json'])
  const { error } = JSON.parse(run.stdout) as { error: { code: string } }
  return { ...run, errorCode: error.code }
}

/** A port that was free a moment ago. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return String(typeof address === 'object' && address !== null ? address.port : 0)
}
