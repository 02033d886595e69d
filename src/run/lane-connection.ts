import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { TargetError } from '../core/errors.ts'
import { breakConnection, connect, type ConnectionTarget, disconnect } from '../target/connect.ts'

/** A lost connection is tried again for this long. */
const RETRY_FOR_MS = 60_000
const LONGEST_PAUSE_MS = 3_200

/**
 * Settings of the connection that rows are sent over: its commits do not wait for the disk.
 *
 * Why: that is some 4 ms for a chunk of 150 ms. Rows and claim of a chunk are kept or lost together when the server
 *      crashes, so a later run still loads each row once; and the run's last commit waits for the disk, which then has
 *      everything before it too.
 *      https://www.postgresql.org/docs/current/wal-async-commit.html
 */
export const COMMIT_LATER = 'set synchronous_commit = off'

/** A lane's connection: opened ahead of its use, while the job is prepared, and again after a loss. */
export class LaneConnection {
  readonly #target: ConnectionTarget
  readonly #session: string
  #client: Promise<Client>
  #givenUp = false

  constructor(target: ConnectionTarget, session: string) {
    this.#target = target
    this.#session = session
    this.#client = this.#connect()
  }

  /** The connection, as soon as it is open. Errors: as those of connect(). */
  get client(): Promise<Client> {
    return this.#client
  }

  /** Connects again, with pauses that grow. Errors: TARGET_UNREACHABLE when the server does not come back. */
  async reopen(): Promise<Client> {
    await this.close()
    const deadline = Date.now() + RETRY_FOR_MS
    for (let pause = 50; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      if (this.#givenUp) throw new Error('the connection of a lane was given up')
      try {
        return await (this.#client = this.#connect())
      } catch (error) {
        const again = error instanceof TargetError && error.retryable
        if (!again || Date.now() + pause > deadline) throw error
      }
      await sleep(pause * (0.5 + Math.random()))
    }
  }

  async close(): Promise<void> {
    // A connection that never came, or is lost already, has nothing to say about its end.
    await this.#client.then((client) => disconnect(this.#target, client)).catch(() => undefined)
  }

  /** Breaks the connection without a word, for good: what waits for it fails, and it is not opened again. */
  giveUp(): void {
    this.#givenUp = true
    this.#client.then(breakConnection).catch(() => undefined) // it never came
  }

  get isGivenUp(): boolean {
    return this.#givenUp
  }

  #connect(): Promise<Client> {
    const client = connect(this.#target, this.#session)
    client.catch(() => undefined) // who asks for it hears of it
    return client
  }
}
