import { Transform } from 'node:stream'
import { ConfigError } from '../../core/errors.ts'
import type { AnyStage, StageContext } from '../../stage/stage.ts'
import { addStats, StageList, type StageStats } from '../../stage/stage-list.ts'
import type { Server } from '../../target/connect.ts'
import { stageFailureError } from '../bad-row.ts'
import { StageConnection } from '../stage-connection.ts'
import { identityOf } from '../stage-source.ts'
import { requireChunk, StreamChunk, type StreamSchema } from './stream-chunk.ts'

/** Chunks that wait before and behind a stage. */
const WAITING = 2

export interface ThroughOptions {
  /** The target database, for a stage that looks things up there. */
  readonly to?: Server | undefined
}

/**
 * A stage as a Duplex of chunks, to be composed with others by `chain` of stream-chain, or by pipeline().
 *
 * Shape:  `chain([through(filter(...)), through(derive(...))])`. `stats` tells what it has done.
 * Errors: CONFIG_* for a stage that does not fit the columns; STAGE_* for the first row that it could not take.
 */
export function through(stage: AnyStage, options: ThroughOptions = {}): StageStream {
  return new StageStream(stage, options)
}

interface Bound {
  readonly list: StageList
  readonly schema: StreamSchema
}

/** See through(). */
export class StageStream extends Transform {
  readonly #stage: AnyStage
  readonly #connection: StageConnection | null
  #bound: Promise<Bound> | null = null
  #stats: StageStats | null = null

  constructor(stage: AnyStage, { to }: ThroughOptions) {
    super({ objectMode: true, highWaterMark: WAITING })
    this.#stage = stage
    const target = to === undefined ? null : { server: to, applicationName: 'millrace stage' }
    this.#connection = target && new StageConnection(target)
  }

  /** Null before the first chunk, and for a stage that only chooses and names columns. */
  get stats(): StageStats | null {
    return this.#stats
  }

  override _transform(
    chunk: StreamChunk,
    _: BufferEncoding,
    callback: (error: Error | null, chunk?: StreamChunk) => void,
  ): void {
    this.#take(chunk).then(
      (taken) => callback(null, taken),
      (error: unknown) => callback(error as Error),
    )
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#connection?.giveUp()
    // One that is being opened is closed when it is open; one that could not be was closed then.
    const bound = this.#bound?.catch(() => null) ?? Promise.resolve(null)
    const list = bound.then((opened) => opened?.list.close())
    const connection = this.#connection?.close() ?? Promise.resolve()
    Promise.all([list, connection]).then(
      () => callback(error),
      (failure: unknown) => callback(error ?? (failure as Error)),
    )
  }

  async #take(chunk: StreamChunk): Promise<StreamChunk> {
    requireChunk(chunk)
    const { list, schema } = await (this.#bound ??= this.#bind(chunk.schema))
    const { chunk: data, stats, failures } = await list.apply(chunk.data)
    const failure = failures.toSorted((a, b) => a.record - b.record)[0]
    if (failure !== undefined) throw stageFailureError(failure, chunk.place.whereIs(failure.record))
    const [done] = stats
    if (done !== undefined) this.#stats = addStats(this.#stats ?? undefined, done)
    return new StreamChunk(data, schema, chunk.place, chunk.added + (done?.added ?? 0))
  }

  async #bind(input: StreamSchema): Promise<Bound> {
    const list = new StageList([this.#stage], input.columns, input.slots)
    const stages = [...input.stages, await identityOf(this.#stage)]
    try {
      await list.open(this.#context())
    } catch (error) {
      await list.close().catch(() => undefined) // the first error tells more
      throw error
    }
    return { list, schema: { slots: list.slots, columns: list.openColumns, stages } }
  }

  #context(): StageContext {
    const connection = this.#connection
    return {
      types: 'final',
      query: (text, values) =>
        connection?.query(text, values) ?? Promise.reject(noServer(this.#stage.name)),
    }
  }
}

function noServer(stage: string): ConfigError {
  const message = `stage ${stage} asks the target database, and was not told where that is`
  return new ConfigError('CONFIG_USAGE', message, { hint: 'as in through(stage, { to })' })
}
