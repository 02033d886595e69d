import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Range } from '../../chunk/range.ts'
import { type InferredColumn, widenColumn } from '../../copy/infer-types.ts'
import { toError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Cut } from '../../source/csv/cut.ts'
import { KeySets } from '../../stage/keys/key-sets.ts'
import type { StageStats } from '../../stage/stage-list.ts'
import { aborted } from '../abort.ts'
import type { ConnectionTarget } from '../../target/connect.ts'
import type { BufferPool } from './buffer-pool.ts'
import { FileOrder } from './file-order.ts'
import { type LaneHandle, type LanePlace, startLane } from './lane-handle.ts'
import type { FromLane, LaneInput, LoadPlan } from './lane-protocol.ts'
import type { CutTask } from '../job/remaining-cuts.ts'
import type { RunStages } from '../stages/stage-source.ts'

/** Ranges a lane holds: one that is sent, one that is encoded meanwhile. */
export const RANGES_PER_LANE = 2
/** What is in flight when a run is to stop may take this long. */
const GRACE_MS = 8_000

/** A range that a lane has dealt with. */
export interface LoadedRange {
  readonly range: Range
  readonly rows: number
  readonly rejected: number
  readonly outcome: 'committed' | 'done'
  readonly milliseconds: number
  /** What the stages have done; nothing for a chunk that was committed before. */
  readonly stages: readonly StageStats[]
}

/** Finds a plan for values that do not fit, given the epoch of the plan they were encoded for. */
export type OnMisfit = (
  epoch: number,
  columns: readonly InferredColumn[],
) => Promise<LoadPlan | null>

/**
 * The lanes of a run. Ranges are handed to whichever lane has room; that the hand-out waits for room is the
 * backpressure on the reader.
 *
 * Life: threads start at once; `open` tells them of the input, `connect` of the server, each as soon as it is known;
 *       `infer` any number of times, then `load` once; `close` ends the threads on every path.
 */
export class Lanes {
  readonly #lanes: LaneHandle[]
  readonly #buffers: BufferPool
  readonly #log: Logger
  #onRoom: (() => void) | null = null
  #onLoaded: (loaded: LoadedRange) => void = () => undefined
  #onMisfit: OnMisfit = () => Promise.resolve(null)
  #inferred: readonly InferredColumn[] = []
  #failure: Error | null = null
  #isLoading = false
  /** Only where stages ask. */
  #order: FileOrder | null = null

  constructor(count: number, place: LanePlace, buffers: BufferPool, log: Logger) {
    this.#buffers = buffers
    this.#log = log
    this.#lanes = Array.from({ length: count }, () => {
      const lane = startLane(place, (from, message) => this.#receive(from, message))
      lane.ended.catch((error: unknown) => {
        this.#failure ??= toError(error)
        this.#order?.stop()
        this.#buffers.close()
        this.#onRoom?.()
      })
      return lane
    })
  }

  open(input: LaneInput, stages: RunStages): void {
    const sets = stages.stages.map(({ keySets }) => keySets ?? [])
    if (sets.flat().length > 0) this.#order = new FileOrder(new KeySets(sets))
    for (const lane of this.#lanes) lane.open(input, stages)
  }

  /** Has the lanes open their connections; `load` is told of a failure. */
  connect(connection: ConnectionTarget, retryFor: number): void {
    for (const lane of this.#lanes) lane.post({ type: 'connect', connection, retryFor })
  }

  /** Infers the columns' types over the given ranges. */
  async infer(
    cuts: AsyncIterable<Cut>,
    fieldCount: number,
    signal: AbortSignal,
  ): Promise<readonly InferredColumn[]> {
    this.#inferred = Array.from({ length: fieldCount }, () => ({ type: 'none', nulls: 0 }))
    await this.#handOut(toInfer(cuts), signal)
    while (this.#failure === null && this.#lanes.some((lane) => lane.inFlight > 0)) {
      await this.#room()
    }
    this.#throwFailure()
    if (signal.aborted) throw aborted()
    return this.#inferred
  }

  /**
   * Loads or recalls the given ranges, which come in the order of the input.
   *
   * Errors: the first failure of a lane; the other lanes finish what they have. RUN_ABORTED when asked to stop.
   */
  async load(
    plan: LoadPlan,
    cuts: AsyncIterable<CutTask>,
    onLoaded: (loaded: LoadedRange) => void,
    onMisfit: OnMisfit,
    signal: AbortSignal,
  ): Promise<void> {
    this.#isLoading = true
    this.#onLoaded = onLoaded
    this.#onMisfit = onMisfit
    for (const lane of this.#lanes) lane.post({ type: 'load', plan })
    let readError: Error | null = null
    // What is not at its turn yet would keep a run that is to stop.
    const stop = (): void => this.#order?.stop()
    signal.addEventListener('abort', stop)
    try {
      await this.#handOut(cuts, signal)
    } catch (error) {
      readError = toError(error)
    }
    for (const lane of this.#lanes) lane.post({ type: 'end' })
    const hurried = signal.aborted || this.#failure !== null || readError !== null
    await this.#waitForEnd(hurried, signal)
    signal.removeEventListener('abort', stop)
    if (readError !== null) throw readError
    this.#throwFailure()
    if (signal.aborted) throw aborted()
  }

  /** Whether they were told to load: from then on they deal with faults themselves. */
  get isLoading(): boolean {
    return this.#isLoading
  }

  /** Ends the threads, whatever they do. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.kill()))
  }

  async #handOut(
    tasks: AsyncIterable<CutTask | { readonly type: 'infer'; readonly cut: Cut }>,
    signal: AbortSignal,
  ): Promise<void> {
    const wake = (): void => {
      this.#buffers.close()
      this.#onRoom?.()
    }
    signal.addEventListener('abort', wake)
    try {
      for await (const task of tasks) {
        let lane = this.#laneWithRoom()
        while (lane === null && this.#failure === null && !signal.aborted) {
          await this.#room()
          lane = this.#laneWithRoom()
        }
        if (lane === null || this.#failure !== null || signal.aborted) return
        if (task.type !== 'infer') this.#order?.begin(task.cut.range.start)
        lane.post(task)
      }
    } catch (error) {
      // A reader that waited for a buffer is told that none will come; why is known already.
      if (this.#failure === null && !signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', wake)
    }
  }

  /** The lane with the fewest ranges, if it has room for another. */
  #laneWithRoom(): LaneHandle | null {
    const lane = this.#lanes.reduce((a, b) => (b.inFlight < a.inFlight ? b : a))
    return lane.inFlight < RANGES_PER_LANE ? lane : null
  }

  #room(): Promise<void> {
    return new Promise((resolve) => (this.#onRoom = resolve))
  }

  #receive(lane: LaneHandle, message: FromLane): void {
    switch (message.type) {
      case 'inferred':
        this.#inferred = this.#inferred.map((column, i) => widenColumn(column, message.columns[i]!))
        this.#answered(lane, message.buffer)
        break
      case 'loaded':
        this.#tell(message)
        this.#order?.forget(message.range.start)
        this.#answered(lane, message.buffer)
        break
      case 'recalled':
        this.#order?.forget(message.range.start)
        this.#answered(lane, message.buffer)
        break
      case 'ask': {
        const { id } = message.question
        this.#order?.ask(message.question, (answer) => lane.post({ type: 'answer', id, answer }))
        break
      }
      case 'staged':
        this.#order?.end(message.start)
        break
      case 'misfit':
        this.#onMisfit(message.epoch, message.columns).then(
          (plan) => lane.post({ type: 'replan', plan }),
          (error: unknown) => {
            this.#failure ??= toError(error)
            this.#order?.stop()
            lane.post({ type: 'replan', plan: null })
          },
        )
        break
      case 'fault': {
        const { isFirst, message: reason } = message
        this.#log[isFirst ? 'warn' : 'debug']({ reason }, 'a lane was held up, trying again')
        break
      }
    }
  }

  /** What it is told of may be the end of the load: the other lanes finish what they have. */
  #tell(loaded: LoadedRange): void {
    try {
      this.#onLoaded(loaded)
    } catch (error) {
      this.#failure ??= toError(error)
      this.#order?.stop()
      this.#buffers.close()
    }
  }

  #answered(lane: LaneHandle, buffer: ArrayBuffer): void {
    lane.inFlight--
    this.#buffers.give(buffer)
    this.#onRoom?.()
  }

  /** Waits for the lanes; when the run is to stop, not for ever. */
  async #waitForEnd(hurried: boolean, signal: AbortSignal): Promise<void> {
    const all = Promise.allSettled(this.#lanes.map((lane) => lane.ended))
    const timer = new AbortController()
    const limit = async (): Promise<void> => {
      if (!hurried) await once(signal, 'abort', { signal: timer.signal })
      await sleep(GRACE_MS, undefined, { signal: timer.signal })
    }
    await Promise.race([all, limit().catch(() => undefined)])
    timer.abort()
    await this.close()
    await all
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure
  }
}

async function* toInfer(cuts: AsyncIterable<Cut>): AsyncGenerator<{ type: 'infer'; cut: Cut }> {
  for await (const cut of cuts) yield { type: 'infer', cut }
}
