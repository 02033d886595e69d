import { access } from 'node:fs/promises'
import { stopServer } from './control.ts'
import { close, leave, tryAlone } from './keeper.ts'
import { findPostmaster } from './postmaster.ts'
import { addressOf } from './prepare.ts'
import type { Logger } from '../core/log.ts'
import type { Connect, Connection } from './keeper.ts'
import type { Postmaster } from './postmaster.ts'
import type { Ready } from './prepare.ts'

/** A user's hold on the embedded server, which runs at least as long as it is held. */
export class EmbeddedServer {
  /** The address of the database for loads, password included. */
  readonly url: string
  readonly port: number
  readonly dataDir: string
  readonly logFile: string
  readonly #ready: Ready
  readonly #connect: Connect
  readonly #log: Logger
  #keeper: Connection
  #released: Promise<void> | undefined

  constructor(
    ready: Ready,
    { port }: Postmaster,
    keeper: Connection,
    connect: Connect,
    log: Logger,
  ) {
    this.url = addressOf(ready.place, port)
    this.port = port
    this.dataDir = ready.place.dataDir
    this.logFile = ready.place.logFile
    this.#ready = ready
    this.#keeper = keeper
    this.#connect = connect
    this.#log = log
  }

  /**
   * Lets go of the server; the last one to do so stops it, unless `db start` was said. Never fails: what was loaded is
   * loaded, and a server left running is found by the next command.
   */
  release(): Promise<void> {
    this.#released ??= this.#release().catch((error: unknown) => {
      this.#log.warn({ err: error, log: this.logFile }, 'the embedded PostgreSQL was not stopped')
    })
    return this.#released
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  async #release(): Promise<void> {
    const { place, binaries } = this.#ready
    try {
      if ((await this.#leave()) === 'others remain') return
      // Looked at under the exclusive lock: whoever makes this file holds the shared one.
      if (await exists(place.keepFile)) return
      await stopServer(place, binaries)
    } finally {
      await close(this.#keeper)
    }
  }

  async #leave(): Promise<'last' | 'others remain'> {
    try {
      return await leave(this.#keeper)
    } catch (error) {
      await close(this.#keeper)
      // The server was stopped or has crashed while we held it. If it is up again, it may be ours to stop.
      const found = await findPostmaster(this.dataDir)
      if (found === undefined) return 'others remain'
      if (found.state !== 'ready') throw error
      this.#keeper = await this.#connect(addressOf(this.#ready.place, found.port, 'postgres'))
      return tryAlone(this.#keeper)
    }
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
