import { Readable } from 'node:stream'
import type { Chunk } from '../../chunk/chunk.ts'
import { ValueColumn } from '../../chunk/column.ts'
import type { Result } from '../../chunk/value.ts'
import { SourceError, toError } from '../../core/errors.ts'

/** Rows of a chunk, at most: their values stay in a core's cache. */
const MOST_ROWS = 2048
/** Rows of the first chunk, which tells how large rows are. */
const FIRST_ROWS = 16
/** Bytes of a chunk's rows, encoded, about: what large rows are bounded by. */
const CHUNK_BYTES = 1 << 20

export type RowObject = Readonly<Record<string, Result>>
export type RowObjects = Iterable<object> | AsyncIterable<object>

/**
 * Takes objects from an iterable, and makes chunks of values of them.
 *
 * Life:   `close` tells the iterable that no more is wanted, on every path. `interrupt` ends a wait for the next object.
 * Errors: SOURCE_BAD_ROW for what is no object, or has a key that is no column; what the iterable throws.
 */
export class RowBatches {
  readonly #source: RowObjects
  readonly #rows: Iterator<object> | AsyncIterator<object>
  readonly #isAsync: boolean
  #interruption: Error | null = null
  #onInterrupt: ((error: Error) => void) | null = null
  #names: readonly string[] = []
  /** Null where keys of other names are to be left out. */
  #known: ReadonlySet<string> | null = null
  /** By column; the next chunk reuses them: they are an eighth of the time when made anew. */
  #values: Result[][] = []
  #first: RowObject | null = null
  #taken = 0
  #size = FIRST_ROWS
  #done = false
  #thrown: { readonly error: unknown } | null = null

  constructor(rows: RowObjects) {
    this.#source = rows
    this.#isAsync = Symbol.asyncIterator in rows
    this.#rows =
      Symbol.asyncIterator in rows ? rows[Symbol.asyncIterator]() : rows[Symbol.iterator]()
  }

  /** The first row, which stays to be taken; null where there is none. */
  async first(): Promise<RowObject | null> {
    this.#first = await this.#next()
    return this.#first
  }

  /** Says which keys are taken, and whether a row may have others. */
  begin(names: readonly string[], others: 'refused' | 'left out'): void {
    this.#names = names
    this.#values = names.map(() => new Array<Result>(MOST_ROWS))
    this.#known = others === 'refused' ? new Set(names) : null
  }

  get done(): boolean {
    return this.#done
  }

  /** What the iterable itself has thrown. */
  get thrown(): { readonly error: unknown } | null {
    return this.#thrown
  }

  /** Tells how many bytes so many rows have come to. */
  encoded(bytes: number, rows: number): void {
    if (rows === 0) return
    const fitting = Math.floor((CHUNK_BYTES * rows) / bytes)
    this.#size = Math.max(1, Math.min(MOST_ROWS, fitting))
  }

  /** Leaves rows out; returns how many there were. */
  async skip(count: number): Promise<number> {
    let skipped = 0
    while (skipped < count && (await this.#next()) !== null) skipped++
    return skipped
  }

  /** Some chunks; each is used up before the next. */
  async *take(count: number): AsyncGenerator<Chunk> {
    for (let i = 0; i < count && !this.#done; i++) {
      const chunk = await this.#chunk()
      if (chunk.rowCount > 0) yield chunk
    }
  }

  /** Makes whoever takes rows fail. */
  interrupt(error: Error): void {
    this.#interruption ??= error
    this.#onInterrupt?.(this.#interruption)
  }

  close(): void {
    if (this.#done) return
    // Its iterator, a generator too, would only do so when the next row comes.
    if (this.#source instanceof Readable) this.#source.destroy()
    const end = async (): Promise<unknown> => this.#rows.return?.()
    // Not waited for: a generator that still waits for something would keep the caller waiting too.
    end().catch(() => undefined)
  }

  async #chunk(): Promise<Chunk> {
    const values = this.#values
    let rowCount = 0
    while (rowCount < this.#size) {
      const next = this.#first ?? this.#next()
      // A promise for each row only where the iterable is asynchronous.
      const row = next instanceof Promise ? await next : next
      this.#first = null
      if (row === null) break
      this.#put(values, rowCount++, row)
    }
    const columns = values.map((column) => new ValueColumn(column))
    return { columns, rowCount, selection: null, records: null }
  }

  #put(values: Result[][], at: number, row: RowObject): void {
    const names = this.#names
    let found = 0
    for (let c = 0; c < names.length; c++) {
      const value = row[names[c]!]
      if (value !== undefined) found++
      values[c]![at] = value
    }
    if (this.#known === null) return
    if (found < names.length || Object.keys(row).length > found) this.#requireOnly(this.#known, row)
  }

  #requireOnly(known: ReadonlySet<string>, row: object): void {
    for (const name of Object.keys(row)) {
      if (known.has(name)) continue
      const message = `row ${String(this.#taken)} has a key that the first one has not, ${JSON.stringify(name)}`
      throw new SourceError('SOURCE_BAD_ROW', message, {
        where: { record: this.#taken },
        hint: 'the keys of the first row are the columns; to take others, name them in `columns`',
      })
    }
  }

  #next(): RowObject | null | Promise<RowObject | null> {
    if (this.#interruption !== null) throw this.#interruption
    const result = this.#ask()
    return this.#isAsync ? this.#await(result) : this.#row(result as IteratorResult<object>)
  }

  #ask(): IteratorResult<object> | Promise<IteratorResult<object>> {
    try {
      return this.#rows.next()
    } catch (error) {
      throw this.#failed(error)
    }
  }

  /** Ends when it is interrupted, whether the iterable answers or not. */
  async #await(
    result: IteratorResult<object> | Promise<IteratorResult<object>>,
  ): Promise<RowObject | null> {
    const interrupted = new Promise<never>((_, reject) => (this.#onInterrupt = reject))
    const next = Promise.resolve(result).catch((error: unknown) => {
      throw this.#failed(error)
    })
    return this.#row(await Promise.race([next, interrupted]))
  }

  #failed(error: unknown): Error {
    this.#done = true
    this.#thrown = { error }
    return toError(error)
  }

  #row({ done, value }: IteratorResult<object>): RowObject | null {
    if (done === true) {
      this.#done = true
      return null
    }
    this.#taken++
    if (typeof value === 'object' && (value as object | null) !== null) return value as RowObject
    const message = `row ${String(this.#taken)} is no object`
    throw new SourceError('SOURCE_BAD_ROW', message, { where: { record: this.#taken } })
  }
}
