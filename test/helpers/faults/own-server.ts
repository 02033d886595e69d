import { execFile } from 'node:child_process'
import { appendFile, chmod, chown, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import type { Connect } from '../../../src/embedded/keeper.ts'
import { startEmbedded, stopEmbedded } from '../../../src/embedded/manage.ts'
import type { OpenOptions } from '../../../src/embedded/open.ts'

/** How a server ends: fast, as when its machine loses power, or with nobody to tell its processes. */
export type End = 'SIGINT' | 'SIGQUIT' | 'SIGKILL'

const connect: Connect = async (url) => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

const run = promisify(execFile)

/** A PostgreSQL that may be ended and started again. */
export class OwnServer {
  url = ''
  readonly #folder: string
  readonly #server: OpenOptions

  private constructor(folder: string) {
    this.#folder = folder
    this.#server = { stateDir: join(folder, '.millrace'), rootDir: join(folder, 'root'), connect }
  }

  static async open(): Promise<OwnServer> {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-server-'))
    await chmod(folder, 0o755) // the server of root's tests runs as another user
    const server = new OwnServer(folder)
    await server.start()
    return server
  }

  /** A server that follows this one, from what it has now on. It is stopped for a moment, and is at another address then. */
  async standby(): Promise<OwnServer> {
    await this.query(`alter system set wal_level = 'replica'`)
    await this.query('alter system set max_wal_senders = 5')
    await stopEmbedded(this.#server)
    await this.start() // what is copied is to say that it can be followed
    await stopEmbedded(this.#server)
    const folder = await mkdtemp(join(tmpdir(), 'millrace-server-'))
    await chmod(folder, 0o755)
    await run('cp', ['-a', `${this.#folder}/.`, folder])
    await this.start()
    const standby = new OwnServer(folder)
    await standby.#follow(this.url)
    await standby.start()
    return standby
  }

  async #follow(url: string): Promise<void> {
    const { hostname, port, username, password } = new URL(url)
    const signal = join(this.#dataDir, 'standby.signal')
    await writeFile(signal, '')
    const { uid, gid } = await stat(this.#dataDir)
    await chown(signal, uid, gid)
    const primary = `host=${hostname} port=${port} user=${username} password=${password}`
    const settings = join(this.#dataDir, 'postgresql.auto.conf')
    await appendFile(settings, `primary_conninfo = '${primary}'\n`)
  }

  /** Runs SQL; the rows of its last statement. */
  async query<Row extends object>(sql: string): Promise<Row[]> {
    const client = await connect(this.url)
    try {
      return (await client.query(sql)).rows as Row[]
    } finally {
      await client.end()
    }
  }

  /** Starts it, as soon as what the last one has left allows it. */
  async start(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        this.url = (await startEmbedded(this.#server)).url
        return
      } catch (error) {
        if (tries === 50) throw error
        await sleep(100)
      }
    }
  }

  get #dataDir(): string {
    return join(this.#server.stateDir, 'cluster', 'data')
  }

  async end(signal: End): Promise<void> {
    const pidFile = join(this.#dataDir, 'postmaster.pid')
    const pid = Number((await readFile(pidFile, 'utf8')).split('\n')[0])
    process.kill(pid, signal)
    while (isAlive(pid)) await sleep(10)
  }

  async remove(): Promise<void> {
    await stopEmbedded(this.#server).catch(() => false)
    await rm(this.#folder, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
