import { setTimeout as sleep } from 'node:timers/promises'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 32_000

/**
 * The pauses between tries of one thing: each about twice as long as the one before, at most 32 s.
 *
 * Shape: `progressed` begins anew; until then all tries together have `retryFor` milliseconds, from the first fault on.
 * Why:   a pause is shortened by up to a half at random, so that lanes that failed together do not come back together.
 *        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export class Backoff {
  readonly #retryFor: number
  readonly #stop: AbortSignal | undefined
  #tries = 0
  #deadline = 0

  constructor(retryFor: number, stop?: AbortSignal) {
    this.#retryFor = retryFor
    this.#stop = stop
  }

  /** Tries that have failed since there was progress. */
  get tries(): number {
    return this.#tries
  }

  progressed(): void {
    this.#tries = 0
  }

  /** Waits until it may be tried again. Errors: the one given, when the time is over or it is to stop. */
  async pause(error: Error): Promise<void> {
    const now = performance.now()
    if (this.#tries++ === 0) this.#deadline = now + this.#retryFor
    const left = this.#deadline - now
    if (left <= 0 || this.#stop?.aborted === true) throw error
    // The last try is at the end of the time, not a pause before it.
    const pause = Math.min(pauseBefore(this.#tries, Math.random()), left)
    await sleep(pause, undefined, this.#stop && { signal: this.#stop }).catch(() => {
      throw error
    })
  }
}

/** Milliseconds before a try is made again, the first time with 1; `random` is from 0 to 1. */
export function pauseBefore(tries: number, random: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS) * (0.5 + random / 2)
}
