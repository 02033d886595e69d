import { X509Certificate } from 'node:crypto'
import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import { connect } from '../../src/target/connect.ts'
import { type CliResult, runCli } from '../helpers/cli.ts'
import '../helpers/names.mjs'
import { useTempDir } from '../helpers/temp-dir.ts'
import { certificate, useTlsServer } from '../helpers/tls-server.ts'

const server = useTlsServer()
const dir = useTempDir()

const AUTHORITY = certificate('authority.crt')
const STRANGER = certificate('stranger.crt')

beforeAll(() => {
  // What somebody has in ~/.postgresql or in variables is nothing of the tests'.
  vi.stubEnv('HOME', dir.path('home'))
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.stubEnv('HOME', dir.path('home'))
})

function urlOf(
  query: Record<string, string>,
  host = 'db.millrace.test',
  user = 'postgres',
): string {
  const url = new URL(
    `postgres://${user}:${server.password}@${host}:${String(server.port)}/postgres`,
  )
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url.href
}

/** 'encrypted' or 'plain', as the server sees it, or the error. */
async function attempt(url: string): Promise<string | MillraceError> {
  try {
    const client = await connect({ server: url, applicationName: 'tls test' })
    const found = await client
      .query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
      .finally(() => client.end())
    return found.rows[0]!.ssl ? 'encrypted' : 'plain'
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return error
  }
}

async function refusal(url: string): Promise<MillraceError> {
  const error = await attempt(url)
  if (typeof error === 'string') throw new Error(`it was not refused: ${error}`)
  return error
}

type Server = 'right' | 'wrong authority' | 'wrong name' | 'expired' | 'plain only'

/** What is to come of a mode: 'yes' is an encrypted connection. */
const EXPECTED: Record<string, Record<Server, 'yes' | 'plain' | 'refused'>> = {
  disable: {
    right: 'plain',
    'wrong authority': 'plain',
    'wrong name': 'plain',
    expired: 'plain',
    'plain only': 'plain',
  },
  require: {
    right: 'yes',
    'wrong authority': 'yes',
    'wrong name': 'yes',
    expired: 'yes',
    'plain only': 'refused',
  },
  'require with sslrootcert': {
    right: 'yes',
    'wrong authority': 'refused',
    'wrong name': 'yes',
    expired: 'refused',
    'plain only': 'refused',
  },
  'verify-ca': {
    right: 'yes',
    'wrong authority': 'refused',
    'wrong name': 'yes',
    expired: 'refused',
    'plain only': 'refused',
  },
  'verify-full': {
    right: 'yes',
    'wrong authority': 'refused',
    'wrong name': 'refused',
    expired: 'refused',
    'plain only': 'refused',
  },
  'none given': {
    right: 'yes',
    'wrong authority': 'refused',
    'wrong name': 'refused',
    expired: 'refused',
    'plain only': 'refused',
  },
}

function urlFor(mode: string, kind: Server): string {
  const authority = kind === 'wrong authority' ? STRANGER : AUTHORITY
  const query = {
    ...(mode === 'none given' ? {} : { sslmode: mode.split(' ')[0]! }),
    ...(mode === 'require' || mode === 'disable' ? {} : { sslrootcert: authority }),
  }
  if (kind === 'plain only') {
    const url = new URL(inject('serverUrl'))
    url.hostname = 'db.millrace.test'
    url.search = new URLSearchParams(query).toString()
    return url.href
  }
  return urlOf(query, kind === 'wrong name' ? 'other.millrace.test' : undefined)
}

/** What an error says of each server, and the option that it names. */
const WORDS: Record<Exclude<Server, 'right'>, [RegExp, RegExp]> = {
  'wrong authority': [/of no authority that is trusted here/, /sslrootcert=.*PGSSLROOTCERT/],
  'wrong name': [/for another name: .*db\.millrace\.test/, /sslmode=verify-ca/],
  expired: [/not valid at this time/, /renew it at the server/],
  'plain only': [/does not encrypt connections/, /sslmode=disable in --to, or PGSSLMODE/],
}

describe('sslmode', () => {
  test.each(Object.keys(EXPECTED))(
    '%s takes what it should of five servers, and no other',
    async (mode) => {
      const found: Record<string, string> = {}
      for (const kind of Object.keys(EXPECTED[mode]!) as Server[]) {
        await server.present(kind === 'expired' ? 'expired' : 'server')
        const result = await attempt(urlFor(mode, kind))
        if (typeof result === 'string') {
          found[kind] = result === 'encrypted' ? 'yes' : result
          continue
        }
        found[kind] = 'refused'
        expect(result.code, kind).toBe('TARGET_REFUSED')
        if (kind === 'right') continue
        expect(result.message, mode).toMatch(WORDS[kind][0])
        expect(result.hint, mode).toMatch(WORDS[kind][1])
      }
      await server.present('server')
      expect(found).toEqual(EXPECTED[mode])
    },
  )

  test('a certificate of an authority that nobody has named is refused', async () => {
    const error = await refusal(urlOf({}))
    expect(error).toMatchObject({ code: 'TARGET_REFUSED' })
    expect(error.message).toMatch(WORDS['wrong authority'][0])
    expect(await refusal(urlOf({ sslrootcert: 'system' }))).toMatchObject({
      code: 'TARGET_REFUSED',
    })
  })

  test('allow, prefer and unknown words are refused, before anything is sent', async () => {
    for (const sslmode of ['allow', 'prefer', 'no-verify', 'VERIFY-FULL']) {
      const error = await refusal(urlOf({ sslmode }))
      expect(error).toMatchObject({ code: 'CONFIG_BAD_VALUE' })
      expect(error.message).toContain(`sslmode "${sslmode}"`)
      expect(error.hint).toContain('verify-full')
    }
  })

  test('verify-ca needs an authority of its own, and so does require with `system`', async () => {
    for (const query of [
      { sslmode: 'verify-ca' },
      { sslmode: 'verify-ca', sslrootcert: 'system' },
      { sslmode: 'require', sslrootcert: 'system' },
    ]) {
      const error = await refusal(urlOf(query))
      expect(error).toMatchObject({ code: 'CONFIG_BAD_VALUE' })
      expect(error.hint).toContain('sslrootcert')
    }
  })

  test('comes from PGSSLMODE and PGSSLROOTCERT too, and the URL goes before them', async () => {
    vi.stubEnv('PGSSLROOTCERT', STRANGER)
    expect(await refusal(urlOf({}))).toMatchObject({ code: 'TARGET_REFUSED' })
    vi.stubEnv('PGSSLROOTCERT', AUTHORITY)
    expect(await attempt(urlOf({}))).toBe('encrypted')
    vi.stubEnv('PGSSLMODE', 'disable')
    expect(await attempt(urlOf({}))).toBe('plain')
    expect(await attempt(urlOf({ sslmode: 'verify-full' }))).toBe('encrypted')
  })

  test('of a server on this machine is disable by default, and what is said', async () => {
    expect(await attempt(urlOf({}, '127.0.0.1'))).toBe('plain')
    expect(await attempt(urlOf({}, 'localhost'))).toBe('plain')
    expect(await attempt(urlOf({ sslmode: 'require' }, 'localhost'))).toBe('encrypted')
    const named = (await refusal(urlOf({ sslrootcert: AUTHORITY }, 'localhost'))).message
    expect(named).toMatch(WORDS['wrong name'][0])
    const full = { sslmode: 'verify-full', sslrootcert: AUTHORITY }
    expect((await refusal(urlOf(full, 'localhost'))).message).toMatch(WORDS['wrong name'][0])
    expect((await refusal(urlOf(full, '127.0.0.1'))).message).toMatch(/for another name: .*127/)
  })

  test('ssl=true is verify-full, and ssl=false disable', async () => {
    expect(await attempt(urlOf({ ssl: 'true', sslrootcert: AUTHORITY }))).toBe('encrypted')
    expect(await refusal(urlOf({ ssl: 'true' }))).toMatchObject({ code: 'TARGET_REFUSED' })
    expect(await attempt(urlOf({ ssl: '0' }))).toBe('plain')
  })

  test('finds the authority in ~/.postgresql/root.crt', async () => {
    await mkdir(join(dir.path('home'), '.postgresql'), { recursive: true })
    const file = join(dir.path('home'), '.postgresql', 'root.crt')
    await copyFile(AUTHORITY, file)
    expect(await attempt(urlOf({}))).toBe('encrypted')
    await copyFile(STRANGER, file)
    expect(await refusal(urlOf({}))).toMatchObject({ code: 'TARGET_REFUSED' })
    await copyFile(AUTHORITY, file)
  })

  test('with direct negotiation encrypts too', async () => {
    const query = { sslrootcert: AUTHORITY, sslnegotiation: 'direct' }
    expect(await attempt(urlOf(query))).toBe('encrypted')
  })
})

describe('a certificate of the client', () => {
  async function clientKey(mode: number): Promise<string> {
    const key = dir.path(`client-${mode.toString(8)}.key`)
    await copyFile(certificate('client.key'), key)
    await chmod(key, mode)
    return key
  }

  const full = { sslmode: 'verify-full', sslrootcert: AUTHORITY }

  test('is shown to a server that asks for it', async () => {
    const shown = { ...full, sslcert: certificate('client.crt'), sslkey: await clientKey(0o600) }
    expect(await attempt(urlOf(shown, undefined, 'certified'))).toBe('encrypted')
    const error = await refusal(urlOf(full, undefined, 'certified'))
    expect(error).toMatchObject({ code: 'TARGET_REFUSED' })
    expect(error.message).toContain('certificate')
  })

  test('is refused with a key that others may read, and where a file is not there', async () => {
    const sslcert = certificate('client.crt')
    const open = await refusal(urlOf({ ...full, sslcert, sslkey: await clientKey(0o644) }))
    expect(open).toMatchObject({ code: 'CONFIG_BAD_VALUE', hint: 'chmod 0600 it' })
    const missing = await refusal(urlOf({ ...full, sslcert, sslkey: dir.path('no.key') }))
    expect(missing.message).toMatch(/^sslkey cannot be read: ENOENT/)
    const root = await refusal(urlOf({ sslrootcert: dir.path('no.crt') }))
    expect(root.message).toMatch(/^sslrootcert cannot be read: ENOENT/)
  })
})

describe('what pg cannot insist on', () => {
  test.each([
    { require_auth: 'scram-sha-256' },
    { channel_binding: 'require' },
    { sslcrl: '/etc/crl.pem' },
    { ssl_min_protocol_version: 'TLSv1.3' },
  ])('is refused: %o', async (query) => {
    const error = await refusal(urlOf({ sslrootcert: AUTHORITY, ...query }))
    expect(error).toMatchObject({ code: 'CONFIG_BAD_VALUE' })
    expect(error.message).toContain('is not supported')
  })

  test('leaves SCRAM bound to the certificate where the server offers it', async () => {
    // Without it the client says that it could not, with it that it was: the server would notice a lie.
    for (const channel_binding of ['prefer', 'disable']) {
      expect(await attempt(urlOf({ sslrootcert: AUTHORITY, channel_binding }))).toBe('encrypted')
    }
  })
})

describe('a load', () => {
  const names = new URL('../helpers/names.mjs', import.meta.url).href

  async function loadInto(to: string, env: Record<string, string> = {}): Promise<CliResult> {
    const file = await dir.write('rows.csv', 'a\n1\n')
    return runCli(['load', file, '--to', to, '--restart', '--lanes', '2', '--json'], {
      env: { NODE_OPTIONS: `--import=${names}`, HOME: dir.path('nobody'), ...env },
    })
  }

  test.each([
    [{ sslmode: 'disable' }, /sslmode=disable: the connection is not encrypted/g],
    [{ sslmode: 'require' }, /sslmode=require: the certificate of the server is not checked/g],
    [{ sslmode: 'verify-ca', sslrootcert: AUTHORITY }, /sslmode=verify-ca: the name/g],
  ])('warns once of %o, over its three connections', async (query, warning) => {
    const run = await loadInto(urlOf(query))
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr.match(warning)).toHaveLength(1)
    const status = await runCli(['status', '--to', urlOf(query)], {
      env: { NODE_OPTIONS: `--import=${names}` },
    })
    expect(status.stderr.match(warning)).toHaveLength(1)
  })

  test('warns of nothing over verify-full, and over a connection within the machine', async () => {
    const safe = [urlOf({ sslrootcert: AUTHORITY }), urlOf({ sslmode: 'disable' }, '127.0.0.1')]
    for (const to of safe) {
      const run = await loadInto(to)
      expect(run.code, run.stderr).toBe(0)
      expect(run.stderr).not.toContain('sslmode')
    }
  })

  test('refuses a server it cannot be sure of, and is told how to be', async () => {
    const refused = await loadInto(urlOf({}))
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/\[TARGET_REFUSED\]\nhint: .*PGSSLROOTCERT/)
    const taken = await loadInto(urlOf({}), { PGSSLROOTCERT: AUTHORITY })
    expect(taken.code, taken.stderr).toBe(0)
  })
})

test('the certificates of the tests are good for longer than the tests', async () => {
  for (const name of ['authority', 'server', 'client', 'stranger']) {
    const { validTo } = new X509Certificate(await readFile(certificate(`${name}.crt`)))
    expect(new Date(validTo).getFullYear()).toBeGreaterThan(2100)
  }
})
