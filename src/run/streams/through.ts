import { Transform } from 'node:stream'
import { ConfigError } from '../../core/errors.ts'
import { KeySets } from '../../stage/keys/key-sets.ts'
import type { Finding } from '../../stage/quality/finding.ts'
import type { AnyStage, StageContext } from '../../stage/stage.ts'
import { type AskKeys, addStats, StageList, type StageStats } from '../../stage/stage-list.ts'
import type { Server } from '../../target/connect.ts'
import { stageFailureError } from '../lanes/bad-row.ts'
import { brokenRules } from '../job/quality-gate.ts'
import { RETRY_FOR_MS } from '../lanes/lane-connection.ts'
import { StageConnection } from '../stages/stage-connection.ts'
import { identityOf } from '../stages/stage-source.ts'
import { requireChunk, StreamChunk, type StreamSchema } from './stream-chunk.ts'

/** The owner of all keys: a stream goes through its input once. */
const ALL_ROWS = 1
/** Chunks that wait before and behind a stage. */
const WAITING = 2

export interface ThroughOptions {
  /** The target database, for a stage that looks things up there. */
  readonly to?: Server | undefined
}

/**
 * A stage as a Duplex of chunks, to be composed with others by `chain` of stream-chain, or by pipeline().
 *
 * Shape:  `chain([through(filter(...)), through(derive(...))])`. `stats` tells what it has done. dedupe() and quality() see
 *         the rows of their stream: it has to begin at the start of its input, and `findings` tells what was judged.
 * Errors: CONFIG_* for a stage that does not fit the columns, or would have to know rows before the stream's position;
 *         STAGE_* for the first row that it could not take; QUALITY_FAILED at the end.
 */
export function through(stage: AnyStage, options: ThroughOptions = {}): StageStream {
  return new StageStream(stage, options)
}

interface Bound {
  readonly list: StageList
  readonly schema: StreamSchema
  /** What the stage remembers of the rows before. */
  readonly sets: KeySets
}

/** See through(). */
export class StageStream extends Transform {
  readonly #stage: AnyStage
  readonly #connection: StageConnection | null
  #bound: Promise<Bound> | null = null
  #stats: StageStats | null = null
  #facts: readonly unknown[] = []
  #findings: readonly Finding[] = []
  #source = 'the stream'

  constructor(stage: AnyStage, { to }: ThroughOptions) {
    super({ objectMode: true, highWaterMark: WAITING })
    this.#stage = stage
    const target = to === undefined ? null : { server: to, applicationName: 'millrace stage' }
    this.#connection = target && new StageConnection(target, RETRY_FOR_MS)
  }

  /** Null before the first chunk, and for a stage that only chooses and names columns. */
  get stats(): StageStats | null {
    return this.#stats
  }

  /** What the rules of quality() have come to, at the end of the stream. */
  get findings(): readonly Finding[] {
    return this.#findings
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

  override _flush(callback: (error: Error | null) => void): void {
    const { measure } = this.#stage
    if (measure !== undefined) this.#findings = measure.judge(this.#facts[0] ?? null, new Date())
    const broken = this.#findings.filter(({ passed }) => !passed)
    const stops = broken.length > 0 && measure?.onFailure === 'stop'
    callback(stops ? brokenRules(broken, this.#source, 'loaded') : null)
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
    const { list, schema, sets } = await (this.#bound ??= this.#bind(chunk))
    const ask: AskKeys = (stage, set, keys) =>
      Promise.resolve(sets.firsts({ stage, set }, keys, ALL_ROWS, []))
    const { chunk: data, stats, failures, facts } = await list.apply(chunk.data, ask)
    this.#facts = list.mergeFacts(this.#facts, facts)
    const failure = failures.toSorted((a, b) => a.record - b.record)[0]
    if (failure !== undefined) throw stageFailureError(failure, chunk.place.whereIs(failure.record))
    const [done] = stats
    if (done !== undefined) this.#stats = addStats(this.#stats ?? undefined, done)
    return new StreamChunk(data, schema, chunk.place, chunk.added + (done?.added ?? 0))
  }

  async #bind({ schema: input, place: { origin } }: StreamChunk): Promise<Bound> {
    const { keySets = [], measure } = this.#stage
    const remembers = keySets.length > 0 || measure !== undefined
    if (remembers && origin.isContinued) throw nothingBefore(this.#stage.name)
    this.#source = origin.name
    const list = new StageList([this.#stage], input.columns, input.slots)
    const stages = [...input.stages, await identityOf(this.#stage)]
    try {
      await list.open(this.#context())
    } catch (error) {
      await list.close().catch(() => undefined) // the first error tells more
      throw error
    }
    const schema = { slots: list.slots, columns: list.openColumns, stages }
    return { list, schema, sets: new KeySets(list.keySets) }
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

function nothingBefore(stage: string): ConfigError {
  const message = `stage ${stage} has to know all rows, and the stream begins behind some of them`
  return new ConfigError('CONFIG_USAGE', message, {
    hint: 'load() takes up such stages where an earlier run has stopped',
  })
}

function noServer(stage: string): ConfigError {
  const message = `stage ${stage} asks the target database, and was not told where that is`
  return new ConfigError('CONFIG_USAGE', message, { hint: 'as in through(stage, { to })' })
}
