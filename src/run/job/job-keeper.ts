import type { Client } from 'pg'
import { beat, reattach } from '../../checkpoint/job.ts'
import type { HeldJob } from '../../checkpoint/job.ts'
import { Backoff } from '../../core/backoff.ts'
import { toError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { type ConnectionTarget, disconnect, reconnect } from '../../target/connect.ts'
import { breakConnection } from '../../target/end-client.ts'
import { isFault, wrapServerError } from '../../target/server-error.ts'
import { LostChunks } from './lost-chunks.ts'

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
  readonly #retryFor: number
  readonly #log: Logger
  readonly #timer: NodeJS.Timeout
  readonly #stop = new AbortController()
  #client: Client
  #turn: Promise<unknown> = Promise.resolve()
  /** Works that are not done yet. */
  #open = 0

  constructor(
    client: Client,
    connection: ConnectionTarget,
    stateSchema: string,
    job: HeldJob,
    retryFor: number,
    log: Logger,
  ) {
    this.#client = client
    this.#connection = connection
    this.#stateSchema = stateSchema
    this.#job = job
    this.#retryFor = retryFor
    this.#log = log
    this.#timer = setInterval(() => this.#beat(), BEAT_EVERY_MS)
    this.#timer.unref()
  }

  /** Works over the connection, one after the other; again after a fault, for `retryFor` milliseconds. */
  use<T>(work: (client: Client) => Promise<T>, retryFor = this.#retryFor): Promise<T> {
    this.#open++
    const result = this.#turn.then(() => this.#try(work, retryFor)).finally(() => this.#open--)
    this.#turn = result.catch(() => undefined)
    return result
  }

  /** Breaks the connection, whatever it waits for: everything asked of it fails now. */
  giveUp(): void {
    this.#stop.abort()
    breakConnection(this.#client)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#turn
    await disconnect(this.#connection, this.#client).catch(() => undefined) // lost already: nothing to end
  }

  async #try<T>(work: (client: Client) => Promise<T>, retryFor: number): Promise<T> {
    const backoff = new Backoff(retryFor, this.#stop.signal)
    for (let fault: Error | null = null; ;) {
      try {
        if (fault !== null) await this.#reconnect()
        return await work(this.#client)
      } catch (thrown) {
        const error = wrapServerError(thrown)
        if (!isFault(error) || error instanceof LostChunks) throw error
        const level = fault === null ? 'warn' : 'debug'
        this.#log[level]({ reason: error.message }, 'the run was held up, trying again')
        await backoff.pause(error)
        fault = error
      }
    }
  }

  async #reconnect(): Promise<void> {
    const lost = this.#client
    await disconnect(this.#connection, lost).catch(() => undefined)
    this.#client = await reconnect(this.#connection, lost, '', this.#stop.signal)
    await reattach(this.#client, this.#stateSchema, this.#job)
  }

  /** Whoever works shows that the run is alive; a beat that fails is made good by the next. */
  #beat(): void {
    if (this.#open > 0) return
    const work = (client: Client): Promise<void> => beat(client, this.#stateSchema, this.#job.run)
    this.use(work, BEAT_EVERY_MS).catch((error: unknown) => {
      this.#log.warn({ reason: toError(error).message }, 'the heartbeat of this run failed')
    })
  }
}
