import type { Cache } from './cache.ts'
import type { Found, Key, Lookup } from './lookup.ts'

/**
 * What there is for the keys of a chunk, in their order: looks up what is not known from chunks before, all of it at a time.
 *
 * Why: a promise only when somebody has to be asked. What a chunk needs is kept beside the cache, which may be the smaller.
 */
export function findAll(
  keys: readonly Key[],
  lookup: Lookup,
  cache: Cache<Found>,
): readonly Found[] | Promise<readonly Found[]> {
  const known = keys.map(({ text }) => cache.get(text))
  const unknown = keys.filter((_, i) => known[i] === undefined)
  if (unknown.length === 0) return known as readonly Found[]
  const merge = (found: readonly Found[]): readonly Found[] => {
    unknown.forEach(({ text }, i) => cache.set(text, found[i]!))
    let next = 0
    return known.map((one) => (one === undefined ? found[next++]! : one))
  }
  const found = lookup.find(unknown)
  return found instanceof Promise ? found.then(merge) : merge(found)
}
