import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { toError } from '../../core/errors.ts'
import { aborted } from '../abort.ts'
import type { FromLane, FromThread, LaneInput, ThreadMessage, ToLane } from './lane-protocol.ts'
import type { Server } from '../../target/connect.ts'
import { LaneWork } from './lane-work.ts'
import type { RunStages, StageSource } from '../stages/stage-source.ts'
import { unpackError } from './wire-error.ts'

/** A thread is given this long to end by itself. */
const LEAVE_MS = 1000

/** The run's end of a lane. */
export interface LaneHandle {
  /** Settles when the lane has ended: its connection is closed, its thread gone. */
  readonly ended: Promise<void>
  /** Ranges that were handed over and not answered yet. */
  inFlight: number
  open(input: LaneInput, stages: RunStages): void
  post(message: ToLane): void
  /** Ends it at once; its connection breaks, and the server rolls its chunk back. */
  kill(): Promise<void>
}

type OnMessage = (lane: LaneHandle, message: FromLane) => void

/** In a thread of its own, or in that of the run. */
export type LanePlace = 'thread' | 'here'

/** What is read and encoded within some milliseconds, by the slowest engine within a tenth of a second. */
const SMALL_BYTES = 1024 * 1024

/** What decides where lanes are. */
export interface LaneNeeds {
  readonly lanes: number
  readonly stages: StageSource
  readonly server: Server
  /** Of the input; null where nobody knows. */
  readonly bytes: number | null
}

/**
 * In threads, unless a stage holds a function of the caller's, or connections come from a pool of the caller's: these cannot
 * leave their thread.
 *
 * Why: a small file is loaded in less time than a thread takes to start. One of 130 KB took 0.8 s of CPU with two threads,
 *      0.5 with one, 0.35 with none.
 */
export function lanePlace({ lanes, stages, server, bytes }: LaneNeeds): LanePlace {
  if (!stages.isPortable || typeof server !== 'string') return 'here'
  const isSmall = lanes === 1 && stages.isEmpty && bytes !== null && bytes <= SMALL_BYTES
  return isSmall ? 'here' : 'thread'
}

export function startLane(place: LanePlace, onMessage: OnMessage): LaneHandle {
  return place === 'thread' ? new ThreadLane(onMessage) : new LocalLane(onMessage)
}

class ThreadLane implements LaneHandle {
  readonly #worker: Worker
  #isReady: () => void = () => undefined
  readonly #ready = new Promise<void>((resolve) => (this.#isReady = resolve))
  readonly ended: Promise<void>
  inFlight = 0

  constructor(onMessage: OnMessage) {
    this.#worker = new Worker(new URL('./lane-thread.js', import.meta.url), {
      // Chunks live outside the heap; a small young generation keeps the heap of each lane at a few MB.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    })
    this.ended = new Promise((resolve, reject) => {
      let failure: Error | null = null
      let ended = false
      this.#worker.on('message', (message: FromThread) => {
        if (message.type === 'ready') this.#isReady()
        else if (message.type === 'failed') failure ??= unpackError(message.error)
        else if (message.type === 'ended') ended = true
        else onMessage(this, message)
      })
      this.#worker.on('error', (error) => (failure ??= error))
      this.#worker.on('exit', () => {
        // As when a stage ends its thread, and the ranges of the lane with it.
        if (!ended && this.inFlight > 0)
          failure ??= new Error("a lane's thread has ended by itself")
        if (failure === null) resolve()
        else reject(failure)
      })
    })
    // Whoever waits for it hears of a failure; until then it is no unhandled rejection.
    this.ended.catch(() => undefined)
  }

  open(input: LaneInput, { specs }: RunStages): void {
    this.#send({ type: 'open', input, stages: specs })
  }

  post(message: ToLane): void {
    if ('cut' in message) this.inFlight++
    this.#send(message, 'cut' in message ? [message.cut.buffer] : [])
  }

  /**
   * Why: a thread that is terminated while it loads modules leaves those files open for good, some of them at each load
   *      that has nothing to do or fails early (Node 20). So it is let start, and asked first.
   */
  async kill(): Promise<void> {
    const gone = this.ended.catch(() => undefined)
    await Promise.race([this.#ready, gone])
    this.#send({ type: 'abort' })
    const timer = new AbortController()
    const limit = sleep(LEAVE_MS, undefined, { signal: timer.signal }).catch(() => undefined)
    await Promise.race([gone, limit])
    timer.abort()
    await this.#worker.terminate()
  }

  #send(message: ThreadMessage, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer)
  }
}

/** A lane in the thread of the run. */
class LocalLane implements LaneHandle {
  readonly #work: LaneWork
  readonly ended: Promise<void>
  inFlight = 0

  constructor(onMessage: OnMessage) {
    let end: (error: unknown) => void = () => undefined
    this.ended = new Promise((resolve, reject) => {
      end = (error) => {
        if (error === null) resolve()
        else reject(toError(error))
      }
    })
    this.ended.catch(() => undefined)
    this.#work = new LaneWork({ report: (message) => onMessage(this, message), ended: end })
  }

  open(input: LaneInput, { stages }: RunStages): void {
    this.#work.open(input, () => Promise.resolve(stages))
  }

  post(message: ToLane): void {
    if ('cut' in message) this.inFlight++
    this.#work.receive(message)
  }

  async kill(): Promise<void> {
    await this.#work.abort(aborted())
  }
}
