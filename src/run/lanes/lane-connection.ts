import type { Client } from 'pg'
import { Backoff } from '../../core/backoff.ts'
import { type ConnectionTarget, disconnect, reconnect } from '../../target/connect.ts'
import { breakConnection } from '../../target/end-client.ts'
import { isFault } from '../../target/server-error.ts'

/**
 * Settings of the connection that rows are sent over: its commits do not wait for the disk.
 *
 * Why: that is some 4 ms for a chunk of 150 ms. Rows and claim of a chunk are kept or lost together when the server
 *      crashes, so a later run still loads each row once; and the run's last commit waits for the disk, which then has
 *      everything before it too.
 *      https://www.postgresql.org/docs/current/wal-async-commit.html
 */
export const COMMIT_LATER = 'set synchronous_commit = off'

/** How long what fails is tried again, by default. */
export const RETRY_FOR_MS = 300_000

/** A lane's connection: opened ahead of its use, while the job is prepared, and again after a fault. */
export class LaneConnection {
  readonly #target: ConnectionTarget
  readonly #session: string
  readonly #stop = new AbortController()
  readonly #backoff: Backoff
  #client: Promise<Client>

  constructor(target: ConnectionTarget, session: string, retryFor: number) {
    this.#target = target
    this.#session = session
    this.#backoff = new Backoff(retryFor, this.#stop.signal)
    this.#client = this.#open(null)
  }

  /** The connection, as soon as it is open. Errors: as those of connect(). */
  get client(): Promise<Client> {
    return this.#client
  }

  /** Whether this is the first fault since there was progress. */
  get isFirstFault(): boolean {
    return this.#backoff.tries === 0
  }

  /** What was to be done is done: the next fault has all the time again. */
  progressed(): void {
    this.#backoff.progressed()
  }

  /** Connects again after a fault, with pauses that grow. Errors: the last fault, when the time for it is over. */
  async reopen(fault: Error): Promise<Client> {
    const lost = await this.#client.catch(() => null)
    await this.close()
    for (let last = fault; ;) {
      await this.#backoff.pause(last)
      try {
        return await (this.#client = this.#open(lost))
      } catch (error) {
        if (!isFault(error)) throw error
        last = error
      }
    }
  }

  async close(): Promise<void> {
    // A connection that never came, or is lost already, has nothing to say about its end.
    await this.#client.then((client) => disconnect(this.#target, client)).catch(() => undefined)
  }

  /** Breaks the connection without a word, for good: what waits for it fails, and it is not opened again. */
  giveUp(): void {
    this.#stop.abort()
    this.#client.then(breakConnection).catch(() => undefined) // it never came
  }

  get isGivenUp(): boolean {
    return this.#stop.signal.aborted
  }

  #open(lost: Client | null): Promise<Client> {
    const client = reconnect(this.#target, lost, this.#session, this.#stop.signal)
    client.catch(() => undefined) // who asks for it hears of it
    return client
  }
}
