/**
 * What is known by key: the last `size` keys that were set or asked for, so that it does not grow with the input.
 *
 * Why: a Map keeps its keys in the order they were put in, which makes the first one the longest unused.
 */
export class Cache<T> {
  readonly #size: number
  readonly #known = new Map<string, T>()

  constructor(size: number) {
    this.#size = size
  }

  get(key: string): T | undefined {
    const value = this.#known.get(key)
    if (value === undefined) return undefined
    this.#known.delete(key)
    this.#known.set(key, value)
    return value
  }

  set(key: string, value: T): void {
    if (this.#size === 0) return
    this.#known.delete(key)
    this.#known.set(key, value)
    if (this.#known.size <= this.#size) return
    const [longestUnused] = this.#known.keys()
    this.#known.delete(longestUnused!)
  }
}
