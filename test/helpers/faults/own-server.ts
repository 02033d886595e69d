import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
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

  async end(signal: End): Promise<void> {
    const pidFile = join(this.#server.stateDir, 'cluster', 'data', 'postmaster.pid')
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
