import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { type InferredColumn, inferTypes } from '../../copy/infer-types.ts'
import { Queue } from '../../core/queue.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import { selectEngine } from '../../source/csv/select-engine.ts'
import type { AnyStage } from '../../stage/stage.ts'
import { indexSound } from './index-range.ts'
import { COMMIT_LATER, LaneConnection } from './lane-connection.ts'
import { runLane } from './lane.ts'
import type { Task } from './lane-session.ts'
import { LaneQuestions } from './lane-questions.ts'
import type { FromLane, LaneInput, LoadPlan, RangeBytes, ToLane } from './lane-protocol.ts'
import { StageConnection } from '../stages/stage-connection.ts'

/** What works on a chunk is given this long to let go of it. */
const LET_GO_MS = 1000

/** Who a lane works for. */
export interface LaneOwner {
  /** Takes a message; the buffers named are the owner's from now on. */
  report(message: FromLane, transfer: ArrayBuffer[]): void
  /** Told once, when the lane's connections are closed; null when all went well. */
  ended(error: unknown): void
}

/**
 * The work of a lane, in whichever thread. Messages are dealt with one after the other; it ends by itself after `end`
 * or a failure.
 */
export class LaneWork {
  readonly #owner: LaneOwner
  readonly #tasks = new Queue<Task>()
  readonly #questions: LaneQuestions
  #opened: {
    readonly input: LaneInput
    readonly engine: CsvEngine
    readonly stages: readonly AnyStage[]
  } | null = null
  #connection: LaneConnection | null = null
  #stageConnection: StageConnection | null = null
  #loading = false
  #finished = false
  #running: Promise<void> = Promise.resolve()
  #onPlan: ((plan: LoadPlan | null) => void) | null = null
  #latest = Promise.resolve()

  constructor(owner: LaneOwner) {
    this.#owner = owner
    this.#questions = new LaneQuestions((message, transfer) => owner.report(message, transfer))
  }

  /** Tells it of the input, and of how to come by the stages. */
  open(input: LaneInput, stages: () => Promise<readonly AnyStage[]>): void {
    this.#queue(async () => {
      const [engine, made] = await Promise.all([selectEngine(input.dialect), stages()])
      this.#opened = { input, engine, stages: made }
    })
  }

  receive(message: ToLane): void {
    this.#queue(() => this.#take(message))
  }

  /**
   * Gives up: the connections break, and the server rolls the chunk back. What works on a chunk is waited for a while, for
   * stages are closed behind it; one that never answers is not.
   */
  async abort(error: Error): Promise<void> {
    if (this.#finished) return
    this.#tasks.fail(error)
    this.#questions.fail(error)
    this.#connection?.giveUp()
    this.#stageConnection?.giveUp()
    const timer = new AbortController()
    const limit = sleep(LET_GO_MS, undefined, { signal: timer.signal }).catch(() => undefined)
    await Promise.race([this.#running, limit])
    timer.abort()
    await this.#finish(error)
  }

  #queue(work: () => Promise<void> | void): void {
    this.#latest = this.#latest
      .then(() => (this.#finished ? undefined : work()))
      .catch((error: unknown) => this.#finish(error))
  }

  async #take(message: ToLane): Promise<void> {
    switch (message.type) {
      case 'connect':
        this.#connection = new LaneConnection(message.connection, COMMIT_LATER, message.retryFor)
        this.#stageConnection = new StageConnection(message.connection, message.retryFor)
        break
      case 'infer':
        this.#infer(message.cut)
        break
      case 'load':
        this.#load(message.plan)
        break
      case 'replan':
        this.#onPlan?.(message.plan)
        break
      case 'answer':
        this.#questions.answer(message.id, message.answer)
        break
      case 'range':
      case 'recall':
        this.#tasks.push({ ...message.cut, type: message.type })
        break
      case 'end':
        this.#tasks.end()
        if (!this.#loading) await this.#finish(null)
        break
    }
  }

  #infer({ range, buffer, length }: RangeBytes): void {
    const { engine, input } = required(this.#opened)
    const fields = indexSound(engine, input, { range, buffer, length })
    const columns = inferTypes(fields)
    const checksum = crc32(fields.bytes)
    this.#owner.report({ type: 'inferred', columns, checksum, range, buffer }, [buffer])
  }

  #load(plan: LoadPlan): void {
    this.#loading = true
    const lane = {
      ...required(this.#opened),
      context: required(this.#stageConnection),
      tasks: this.#tasks,
      questions: this.#questions,
      report: this.#owner.report,
      replan: (epoch: number, columns: readonly InferredColumn[]) => this.#replan(epoch, columns),
    }
    this.#running = runLane(lane, required(this.#connection), plan).then(
      () => this.#finish(null),
      (error: unknown) => this.#finish(error),
    )
  }

  #replan(epoch: number, columns: readonly InferredColumn[]): Promise<LoadPlan | null> {
    this.#owner.report({ type: 'misfit', epoch, columns }, [])
    return new Promise((resolve) => (this.#onPlan = resolve))
  }

  async #finish(error: unknown): Promise<void> {
    if (this.#finished) return
    this.#finished = true
    await Promise.all([this.#connection?.close(), this.#stageConnection?.close()])
    this.#owner.ended(error)
  }
}

function required<T>(value: T | null): T {
  if (value === null) throw new Error('a lane was told to work before it was told on what')
  return value
}
