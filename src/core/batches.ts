/** How large a batch is, at most. */
export interface BatchLimits {
  readonly items: number
  readonly bytes: number
}

/** Cuts items into batches, each of so many items and bytes at most; an item that is larger is a batch of its own. */
export function* batchesBySize<T extends { readonly bytes: number }>(
  items: Iterable<T>,
  most: BatchLimits,
): Generator<T[]> {
  const batches = new Batches<T>(most)
  for (const item of items) {
    const full = batches.add(item)
    if (full !== null) yield full
  }
  if (batches.rest.length > 0) yield batches.rest
}

/** As batchesBySize. */
export async function* batchesOfAsync<T extends { readonly bytes: number }>(
  items: AsyncIterable<T>,
  most: BatchLimits,
): AsyncGenerator<T[]> {
  const batches = new Batches<T>(most)
  for await (const item of items) {
    const full = batches.add(item)
    if (full !== null) yield full
  }
  if (batches.rest.length > 0) yield batches.rest
}

class Batches<T extends { readonly bytes: number }> {
  readonly #most: BatchLimits
  #bytes = 0
  /** What is not in a full batch yet. */
  rest: T[] = []

  constructor(most: BatchLimits) {
    this.#most = most
  }

  /** The batch that is full without the item; null where it finds room. */
  add(item: T): T[] | null {
    const { items, bytes } = this.#most
    const isFull = this.rest.length === items || this.#bytes + item.bytes > bytes
    const full = this.rest.length > 0 && isFull ? this.rest : null
    if (full !== null) {
      this.rest = []
      this.#bytes = 0
    }
    this.rest.push(item)
    this.#bytes += item.bytes
    return full
  }
}
