import { randomBytes } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import { warnOfAddress } from '../../src/target/address-warnings.ts'
import { connect } from '../../src/target/connect.ts'
import { lookUpPassword } from '../../src/target/password-file.ts'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

beforeEach(() => vi.stubEnv('HOME', dir.path('home')))
afterEach(() => vi.unstubAllEnvs())

/** Who is where, as the server sees it, or the error. */
async function whoIs(url: string): Promise<string | MillraceError> {
  try {
    const client = await connect({ server: url, applicationName: 'files test' })
    const found = await client
      .query<{ who: string }>(`select current_user || ' in ' || current_database() as who`)
      .finally(() => client.end())
    return found.rows[0]!.who
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return error
  }
}

/** The parts of the database's address. */
function parts(): { host: string; port: string; user: string; password: string; dbname: string } {
  const { hostname, port, username, password, pathname } = new URL(db.url)
  return { host: hostname, port, user: username, password, dbname: pathname.slice(1) }
}

function withoutPassword(): string {
  const url = new URL(db.url)
  url.password = ''
  return url.href
}

async function writeSecret(name: string, text: string, mode = 0o600): Promise<string> {
  const path = await dir.write(name, text)
  await chmod(path, mode)
  return path
}

function section(name: string, values: Record<string, string>): string {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${value}`)
  return [`[${name}]`, ...lines, ''].join('\n')
}

describe('a service', () => {
  test('of the file says what the URL leaves out; the URL goes before it, the variables behind', async () => {
    const others = section('others', { host: 'nowhere.invalid' })
    const text = `# mine\n${others}\n${section('mine', parts())}${section('mine', { host: 'no' })}`
    vi.stubEnv('PGSERVICEFILE', await writeSecret('services.conf', text))
    vi.stubEnv('PGHOST', 'nowhere.invalid')
    vi.stubEnv('PGDATABASE', 'nowhere')
    const { user, dbname } = parts()
    expect(await whoIs('postgres://?service=mine')).toBe(`${user} in ${dbname}`)
    expect(await whoIs('postgres:///postgres?service=mine')).toBe(`${user} in postgres`)
    vi.stubEnv('PGSERVICE', 'mine')
    expect(await whoIs('postgres://')).toBe(`${user} in ${dbname}`)
    expect(await whoIs('postgres://?service=others')).toMatchObject({ code: 'TARGET_UNREACHABLE' })
  })

  test('of ~/.pg_service.conf, and of PGSYSCONFDIR behind it, is found', async () => {
    const { user, dbname } = parts()
    vi.stubEnv('HOME', dir.path('.'))
    await writeSecret('.pg_service.conf', section('home', parts()))
    vi.stubEnv('PGSYSCONFDIR', dir.path('.'))
    await writeSecret('pg_service.conf', section('system', parts()))
    expect(await whoIs('postgres://?service=home')).toBe(`${user} in ${dbname}`)
    expect(await whoIs('postgres://?service=system')).toBe(`${user} in ${dbname}`)
  })

  test('says how the connection is encrypted', async () => {
    const text = section('tls', { ...parts(), sslmode: 'require' })
    vi.stubEnv('PGSERVICEFILE', await writeSecret('tls.conf', text))
    expect(await whoIs('postgres://?service=tls')).toMatchObject({ code: 'TARGET_REFUSED' })
    const { user, dbname } = parts()
    expect(await whoIs('postgres://?service=tls&sslmode=disable')).toBe(`${user} in ${dbname}`)
  })

  test('that is not there, and a line that says nothing, are refused without showing the line', async () => {
    vi.stubEnv('PGSERVICEFILE', await writeSecret('broken.conf', '[broken]\nhost=a\nhunter2\n'))
    const broken = (await whoIs('postgres://?service=broken')) as MillraceError
    expect(broken).toMatchObject({ code: 'CONFIG_BAD_VALUE' })
    expect(broken.message).toMatch(/^line 3 of .*broken\.conf is no name=value$/)
    const missing = (await whoIs('postgres://?service=missing')) as MillraceError
    expect(missing.message).toMatch(/^there is no service "missing" in .*broken\.conf/)
    vi.stubEnv('PGSERVICEFILE', dir.path('nowhere.conf'))
    expect(await whoIs('postgres://?service=x')).toMatchObject({ code: 'CONFIG_BAD_VALUE' })
  })

  test('is a target of the command line', async () => {
    const file = await dir.write('served.csv', 'a\n1\n')
    const env = {
      PGSERVICEFILE: await writeSecret('cli.conf', section('cli', parts())),
      PGSERVICE: 'cli',
    }
    const run = await runCli(['load', file, '--json'], { env })
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value('select count(*)::int from served')).toBe(1)
  })
})

describe('a password', () => {
  test('comes from the URL, else PGPASSWORD, else the password file', async () => {
    const { user, dbname, password, port } = parts()
    const right = `*:${port}:*:${user}:${password}\n`
    vi.stubEnv('PGPASSFILE', await writeSecret('passwords', right))
    expect(await whoIs(withoutPassword())).toBe(`${user} in ${dbname}`)
    vi.stubEnv('PGPASSWORD', 'wrong')
    expect(await whoIs(withoutPassword())).toMatchObject({ code: 'TARGET_REFUSED' })
    expect(await whoIs(db.url)).toBe(`${user} in ${dbname}`)
    vi.stubEnv('PGPASSWORD', password)
    vi.stubEnv('PGPASSFILE', dir.path('nowhere'))
    expect(await whoIs(withoutPassword())).toBe(`${user} in ${dbname}`)
  })

  test('comes from ~/.pgpass, or from the file that passfile= names', async () => {
    const { user, dbname, password, host } = parts()
    const line = `${host}:*:${dbname}:${user}:${password}\n`
    const file = await writeSecret('other', line)
    expect(
      await whoIs(
        `${withoutPassword()}${withoutPassword().includes('?') ? '&' : '?'}passfile=${file}`,
      ),
    ).toBe(`${user} in ${dbname}`)
    vi.stubEnv('HOME', dir.path('.'))
    await writeSecret('.pgpass', line)
    expect(await whoIs(withoutPassword())).toBe(`${user} in ${dbname}`)
  })

  test('that is nowhere is asked for by an error that names the ways', async () => {
    const error = (await whoIs(withoutPassword())) as MillraceError
    expect(error).toMatchObject({ code: 'TARGET_REFUSED' })
    expect(error.hint).toMatch(/--to, PGPASSWORD or ~\/\.pgpass/)
  })

  test('of a file that others may read is not used, and the log says so once', async () => {
    const { user, password, port } = parts()
    const file = await writeSecret('open', `*:${port}:*:${user}:${password}\n`, 0o644)
    const input = await dir.write('open.csv', 'a\n1\n')
    const run = await runCli(['load', input, '--to', withoutPassword(), '--lanes', '2', '--json'], {
      env: { PGPASSFILE: file },
    })
    expect(run.code).toBe(1)
    expect(run.stderr.match(/password file .* is ignored: .*chmod 0600/g)).toHaveLength(1)
    expect(run.stderr).not.toContain('DeprecationWarning')
    await chmod(file, 0o600)
    const again = await runCli(['load', input, '--to', withoutPassword(), '--json'], {
      env: { PGPASSFILE: file },
    })
    expect(again.code, again.stderr).toBe(0)
    expect(again.stderr).not.toMatch(/ignored|Deprecation/)
  })

  test('file is not warned of where it is not needed', async () => {
    vi.stubEnv('PGPASSFILE', await writeSecret('unneeded', '*:*:*:*:x\n', 0o644))
    const warn = vi.fn()
    await warnOfAddress(db.url, { debug: warn, info: warn, warn, error: warn })
    expect(warn).not.toHaveBeenCalled()
  })
})

describe('a line of the password file', () => {
  const login = { host: 'db.example.org', port: 5432, database: 'sales', user: 'ann' }

  test.each([
    ['db.example.org:5432:sales:ann:secret', login, 'secret'],
    ['*:*:*:*:secret', login, 'secret'],
    ['db.example.org:5433:sales:ann:secret', login, null],
    ['other:*:*:*:secret', login, null],
    ['*:*:*:bob:no\n*:*:*:ann:yes\n*:*:*:ann:late', login, 'yes'],
    ['#*:*:*:*:secret', login, null],
    [String.raw`*:*:*:*:a\:b\\c`, login, String.raw`a:b\c`],
    ['*:*:*:*:a:b', login, 'a:b'],
    [String.raw`a\:b:*:*:*:secret`, { ...login, host: 'a:b' }, 'secret'],
    ['*:*:*:*:crlf\r', login, 'crlf'],
    ['localhost:*:*:*:secret', { ...login, host: '/var/run/postgresql' }, 'secret'],
    ['nonsense\n\n*:*:*\n', login, null],
  ])('%j', async (text, wanted, password) => {
    const file = await writeSecret(`line-${randomBytes(4).toString('hex')}`, `${text}\n`)
    expect(await lookUpPassword(file, wanted)).toBe(password)
  })
})
