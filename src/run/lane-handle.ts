import { Worker } from 'node:worker_threads'
import type { FromLane, ToLane } from './lane-protocol.ts'
import { unpackError } from './wire-error.ts'

/** The main thread's end of a lane. */
export class LaneHandle {
  readonly #worker: Worker
  /** Settles when the lane has ended: its connection is closed, its thread gone. */
  readonly ended: Promise<void>
  /** Ranges that were handed over and not answered yet. */
  inFlight = 0

  constructor(onMessage: (lane: LaneHandle, message: FromLane) => void) {
    this.#worker = new Worker(new URL('./lane-thread.js', import.meta.url), {
      // Chunks live outside the heap; a small young generation keeps the heap of each lane at a few MB.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    })
    this.ended = new Promise((resolve, reject) => {
      let failure: Error | null = null
      this.#worker.on('message', (message: FromLane) => {
        if (message.type === 'failed') failure ??= unpackError(message.error)
        else onMessage(this, message)
      })
      this.#worker.on('error', (error) => (failure ??= error))
      this.#worker.on('exit', () => {
        if (failure === null) resolve()
        else reject(failure)
      })
    })
    // Whoever waits for it hears of a failure; until then it is no unhandled rejection.
    this.ended.catch(() => undefined)
  }

  post(message: ToLane): void {
    const cut = 'cut' in message ? message.cut : null
    if (cut === null) this.#worker.postMessage(message)
    else {
      this.inFlight++
      this.#worker.postMessage(message, [cut.buffer])
    }
  }

  /** Ends the thread at once; its connection breaks, and the server rolls its chunk back. */
  async kill(): Promise<void> {
    await this.#worker.terminate()
  }
}
