import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chmod } from 'node:fs/promises'
import { type CliResult, runCli, startCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

/** A password that is to be seen nowhere; as it is, and in the forms it might be shown in. */
const CANARY = `c4n4ry/${randomBytes(6).toString('hex')}`
const ROLE = `canary_${randomBytes(4).toString('hex')}`

function showsCanary(text: string): boolean {
  const [, secret] = CANARY.split('/')
  return text.includes('c4n4ry') || text.includes(secret!)
}

/** Ways in which a password comes, each as URL and environment. */
function ways(changes: { port?: string; database?: string; user?: string; query?: string } = {}) {
  const url = new URL(db.url)
  url.username = changes.user ?? ROLE
  url.password = ''
  if (changes.port !== undefined) url.port = changes.port
  if (changes.database !== undefined) url.pathname = changes.database
  url.search = changes.query ?? ''
  const plain = url.href
  url.password = encodeURIComponent(CANARY)
  return [
    { way: 'URL', to: url.href, env: {} },
    { way: 'PGPASSWORD', to: plain, env: { PGPASSWORD: CANARY } },
    { way: 'PGPASSFILE', to: plain, env: { PGPASSFILE: dir.path('passwords') } },
    {
      way: 'service',
      to: `${plain}${plain.includes('?') ? '&' : '?'}service=canary`,
      env: { PGSERVICEFILE: dir.path('services') },
    },
  ]
}

beforeAll(async () => {
  await db.query(`create role ${ROLE} login password '${CANARY}'`)
  await db.query(
    `do $$ begin execute format('grant create on database %I to ${ROLE}', current_database()); end $$`,
  )
  await db.query(`grant all on schema public to ${ROLE}`)
  await chmod(await dir.write('passwords', `*:*:*:*:${CANARY}\n`), 0o600)
  await dir.write('services', `[canary]\npassword=${CANARY}\n`)
})

afterAll(async () => {
  await db.query(`drop owned by ${ROLE}`)
  await db.query(`drop role ${ROLE}`)
})

/** What a command has left: its output, and its report. */
async function leftBy(run: CliResult, report: string | null = null): Promise<string> {
  const file = report === null ? '' : await readFile(report, 'utf8')
  return `${run.stdout}\n${run.stderr}\n${file}`
}

async function input(text = 'id,note\n1,a\n2,b\n'): Promise<string> {
  return dir.write(`input_${randomBytes(4).toString('hex')}.csv`, text)
}

describe('a password is shown by no command', () => {
  const failures = {
    'a wrong password': { user: 'postgres' },
    'no such role': { user: 'nobody_at_all' },
    'no such database': { database: '/nowhere' },
    'nobody who listens': { port: '1' },
    'a server that does not encrypt': { query: '?sslmode=require' },
    'an authority that is not there': { query: '?sslmode=verify-full&sslrootcert=/nowhere' },
    'a word that is no sslmode': { query: '?sslmode=prefer' },
  }

  test.each(Object.entries(failures))('that fails for %s', async (_, changes) => {
    const file = await input()
    for (const { way, to, env } of ways(changes)) {
      const report = dir.path(`report_${way}.json`)
      const args = ['load', file, '--to', to, '--json', '--log-level', 'debug', '--report', report]
      const run = await runCli(args, { env })
      expect([run.code, run.stdout !== ''], `${way}: ${run.stderr}`).not.toContain(0)
      expect(showsCanary(await leftBy(run, report)), way).toBe(false)
    }
    const [{ to, env }] = ways(changes) as [ReturnType<typeof ways>[0]]
    const status = await runCli(['status', '--to', to], { env })
    expect(status.code).not.toBe(0)
    expect(showsCanary(await leftBy(status))).toBe(false)
  })

  test.each([
    `postgres://user:${CANARY}@host/db`,
    `postgres://user:${encodeURIComponent(CANARY)}@host:port/db`,
    `postgers://user:${encodeURIComponent(CANARY)}@host/db`,
    `postgres://user:12/${CANARY}@127.0.0.1/db`,
    `postgres://user:%zz${encodeURIComponent(CANARY)}@host/db`,
    `user:${CANARY}@host/db`,
    `host=127.0.0.1 password=${CANARY}`,
  ])('that is given what is no URL: %#', async (to) => {
    const run = await runCli(['load', await input(), '--to', to, '--json'])
    expect(run.code).not.toBe(0)
    expect(showsCanary(await leftBy(run))).toBe(false)
  })

  test('that is given the address in the place of the input', async () => {
    const { to } = ways()[0]!
    for (const command of ['load', 'inspect']) {
      const run = await runCli([command, to, '--json'])
      expect(run.code).toBe(2)
      expect(run.stderr).toContain('--to')
      expect(showsCanary(await leftBy(run))).toBe(false)
    }
  })

  const bad = `id,note\n1,a\nx,b\n3,c\n`
  const throws = `import { filter } from 'millrace'\nexport default filter(() => { throw new Error('no') })\n`

  test('that loads, keeps rejects, stops at a bad row, or has a stage that throws', async () => {
    const stage = await dir.write('throws.ts', throws)
    await db.query('create table noted (id int, note text)')
    await db.query(`grant all on noted to ${ROLE}`)
    for (const { way, to, env } of ways()) {
      const to_ = ['--to', to, '--log-level', 'debug']
      const report = dir.path(`loads_${way}.json`)
      const loads: [number, string[]][] = [
        [0, [await input()]],
        [0, [await input(bad), '--table', 'noted', '--max-errors', '50%', '--restart']],
        [1, [await input(bad), '--table', 'noted', '--max-errors', '0', '--json']],
        [3, [await input(), '--stage', stage]],
        [2, [await input(), '--table', 'a.b.c']],
      ]
      for (const [code, args] of loads) {
        const run = await runCli(['load', ...args, ...to_, '--report', report], { env })
        expect(run.code, `${way}: ${run.stderr}`).toBe(code)
        expect(showsCanary(await leftBy(run, report)), way).toBe(false)
      }
      const status = await runCli(['status', '--to', to, '--json'], { env })
      expect(status.code, status.stderr).toBe(0)
      expect(showsCanary(await leftBy(status))).toBe(false)
    }
    expect(await canaryInState()).toEqual([])
  })

  test('nor by the server, while one runs and after it was killed', async () => {
    await db.query(`
      create table slow (id int, note text);
      create function slowly() returns trigger language plpgsql as $$
        begin perform pg_sleep(0.2); return new; end $$;
      create trigger slow before insert on slow for each row execute function slowly();
      grant all on slow to ${ROLE}`)
    const rows = Array.from({ length: 200 }, (_, i) => `${String(i)},x\n`)
    const { to } = ways()[0]!
    const file = await input(`id,note\n${rows.join('')}`)
    const running = startCli(['load', file, '--table', 'slow', '--to', to, '--lanes', '2'])
    const seen = async (): Promise<string[]> => {
      const found = await db.query<{ seen: string }>(
        `select a::text as seen from pg_stat_activity a where usename = $1`,
        [ROLE],
      )
      return found.map((row) => row.seen)
    }
    await until('a lane copies', async () => (await seen()).some((one) => one.includes('copy')))
    expect((await seen()).length).toBeGreaterThan(1)
    expect((await seen()).filter(showsCanary)).toEqual([])
    running.process.kill('SIGKILL')
    const run = await running.result
    expect(showsCanary(await leftBy(run))).toBe(false)
    expect(await canaryInState()).toEqual([])
  })
})

/** The tables of the state that have the canary in them; one is there to be found. */
async function canaryInState(): Promise<string[]> {
  const tables = await db.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'millrace'`,
  )
  expect(tables.length).toBeGreaterThan(4)
  const found: string[] = []
  for (const { name } of tables) {
    const rows = await db.query<{ row: string }>(`select t::text as row from ${name} t`)
    if (rows.some(({ row }) => showsCanary(row))) found.push(name)
  }
  return found
}
