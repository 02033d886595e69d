/**
 * A queue between two loops of one thread: whoever comes first waits.
 *
 * Shape: iterating ends after `end`, or throws what `fail` was given, once everything before it is taken.
 */
export class Queue<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  #wake: (() => void) | null = null
  #ended = false
  #error: Error | null = null

  push(item: T): void {
    this.#items.push(item)
    this.#notify()
  }

  /** Whether nothing waits to be taken. */
  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  end(): void {
    this.#ended = true
    this.#notify()
  }

  fail(error: Error): void {
    this.#error = error
    this.end()
  }

  /** The next item, or undefined at the end and when `stop` says that nobody waits for it any more. */
  async take(stop?: AbortSignal): Promise<T | undefined> {
    for (;;) {
      if (stop?.aborted === true) return undefined
      if (this.#items.length > 0) return this.#items.shift()
      if (this.#error !== null) throw this.#error
      if (this.#ended) return undefined
      await this.#change(stop)
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = await this.take()
      if (item === undefined) return
      yield item
    }
  }

  /** Waits until something is said to the queue, or `stop` is. */
  #change(stop?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        stop?.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      stop?.addEventListener('abort', wake)
    })
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = null
  }
}
