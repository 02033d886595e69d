import {
  chmod,
  chown,
  copyFile,
  mkdtemp,
  readFile,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { openEmbeddedServer, stopEmbeddedServer } from '../../src/run/embedded-server.ts'
import { until } from './loads.ts'

/** The path of a file of test/certificates. */
export function certificate(name: string): string {
  return fileURLToPath(new URL(`../certificates/${name}`, import.meta.url))
}

/** A PostgreSQL that encrypts connections to who asks for it. */
export interface TlsServer {
  readonly port: number
  readonly password: string
  query(sql: string): Promise<Record<string, unknown>[]>
  /** Has it show another certificate of test/certificates. */
  present(name: 'server' | 'expired'): Promise<void>
}

/** Starts one before the tests of a file. Role `certified` has to show a certificate. */
export function useTlsServer(): TlsServer {
  let stateDir = ''
  let dataDir = ''
  let url = ''
  let close = (): Promise<void> => Promise.resolve()

  async function query(sql: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: url })
    await client.connect()
    const { rows } = await client.query<Record<string, unknown>>(sql).finally(() => client.end())
    return rows
  }

  /** Gives the server a file of its own: a key is refused where others may read it. */
  async function give(name: string): Promise<void> {
    const path = join(dataDir, name)
    await copyFile(certificate(name), path)
    const { uid, gid } = await stat(dataDir)
    await chmod(path, 0o600)
    await chown(path, uid, gid)
  }

  async function present(name: string): Promise<void> {
    await query(`alter system set ssl_cert_file = '${name}.crt'`)
    await query(`alter system set ssl_key_file = '${name}.key'`)
    await query('select pg_reload_conf()')
    const wanted = await readFile(certificate(`${name}.crt`), 'utf8')
    const port = Number(new URL(url).port)
    await until(`the server shows ${name}.crt`, async () => {
      const shown = await shownCertificate(port)
      return shown !== null && wanted.includes(shown.toString('base64').slice(0, 60))
    })
  }

  beforeAll(async () => {
    stateDir = await mkdtemp(join(tmpdir(), 'millrace-tls-'))
    const server = await openEmbeddedServer({ stateDir })
    close = () => server.release()
    url = server.url
    dataDir = await realpath(server.dataDir)
    const names = ['authority.crt', 'server.crt', 'server.key', 'expired.crt', 'expired.key']
    for (const name of names) await give(name)
    const rules = join(dataDir, 'pg_hba.conf')
    const before = await readFile(rules, 'utf8')
    await writeFile(rules, `hostssl all certified 127.0.0.1/32 cert\n${before}`)
    await query('create role certified login')
    await query(`alter system set ssl_ca_file = 'authority.crt'`)
    await query('alter system set ssl = on')
    await present('server')
  }, 60_000)

  afterAll(async () => {
    await close()
    await stopEmbeddedServer({ stateDir })
    if (!dataDir.startsWith(await realpath(stateDir))) {
      await rm(dirname(dataDir), { recursive: true, force: true })
    }
    await rm(stateDir, { recursive: true, force: true })
  })

  return {
    get port() {
      return Number(new URL(url).port)
    },
    get password() {
      return new URL(url).password
    },
    query,
    present,
  }
}

/** What the server shows to an SSLRequest; null where it does not encrypt. */
async function shownCertificate(port: number): Promise<Buffer | null> {
  const socket = connect(port, '127.0.0.1')
  try {
    socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]))
    const answer = await new Promise<Buffer>((resolve, reject) => {
      socket.once('data', resolve).once('error', reject)
    })
    if (answer.toString() !== 'S') return null
    return await new Promise<Buffer>((resolve, reject) => {
      const tls = connectTls({ socket, rejectUnauthorized: false }, () => {
        resolve(tls.getPeerCertificate().raw)
        tls.destroy()
      }).once('error', reject)
    })
  } finally {
    socket.destroy()
  }
}
