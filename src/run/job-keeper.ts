import type { Client } from 'pg'
import { beat, reattach } from '../checkpoint/job.ts'
import type { HeldJob } from '../checkpoint/job.ts'
import { toError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { breakConnection, connect, type ConnectionTarget, disconnect } from '../target/connect.ts'
import { isConnectionLost, wrapServerError } from '../target/server-error.ts'

const BEAT_EVERY_MS = 5000

/**
 * Keeps a held job: the connection that shows the run to be alive, and its heartbeat.
 *
 * Shape: when the connection is lost another one takes its place, unless a newer run has taken the job over meanwhile.
 * Life:  `close` ends the heartbeat and the connection.
 */
export class JobKeeper {
  readonly #connection: ConnectionTarget
  readonly #stateSchema: string
  readonly #job: HeldJob
  readonly #log: Logger
  readonly #timer: NodeJS.Timeout
  #client: Client
  #givenUp = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    client: Client,
    connection: ConnectionTarget,
    stateSchema: string,
    job: HeldJob,
    log: Logger,
  ) {
    this.#client = client
    this.#connection = connection
    this.#stateSchema = stateSchema
    this.#job = job
    this.#log = log
    this.#timer = setInterval(() => {
      this.use((current) => beat(current, stateSchema, job.run)).catch((error: unknown) => {
        log.warn({ reason: toError(error).message }, 'the heartbeat of this run failed')
      })
    }, BEAT_EVERY_MS)
    this.#timer.unref()
  }

  /** Works over the connection, one after the other; once more over a new one when it turns out to be lost. */
  use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const result = this.#turn.then(async () => {
      try {
        return await work(this.#client)
      } catch (thrown) {
        const error = wrapServerError(thrown)
        if (!isConnectionLost(error) || this.#givenUp) throw error
        await this.#reconnect(error)
        return work(this.#client)
      }
    })
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** Breaks the connection, whatever it waits for: everything asked of it fails now. */
  giveUp(): void {
    this.#givenUp = true
    breakConnection(this.#client)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#turn
    await disconnect(this.#connection, this.#client).catch(() => undefined) // lost already: nothing to end
  }

  async #reconnect(lost: Error): Promise<void> {
    this.#log.warn({ reason: lost.message }, 'the run lost its connection, connecting again')
    await disconnect(this.#connection, this.#client).catch(() => undefined)
    this.#client = await connect(this.#connection)
    await reattach(this.#client, this.#stateSchema, this.#job)
  }
}
