import type { Firsts, KeyBatch } from './key-batch.ts'
import { type KeyOwner, KeySet } from './key-set.ts'

/** How much a set of keys may hold. */
export interface KeyLimits {
  /** Bytes. */
  readonly maxMemory: number
}

/** The sets of keys that the stages of a list have the run remember, by stage. */
export class KeySets {
  readonly #sets: readonly (readonly KeySet[])[]

  constructor(limits: readonly (readonly KeyLimits[])[]) {
    this.#sets = limits.map((sets) => sets.map(({ maxMemory }) => new KeySet(maxMemory)))
  }

  /** As KeySet.firsts, of one of the sets of a stage. */
  firsts(
    place: { readonly stage: number; readonly set: number },
    keys: KeyBatch,
    owner: KeyOwner,
    before: readonly KeyOwner[],
  ): Firsts {
    return this.#sets[place.stage]![place.set]!.firsts(keys, owner, before)
  }
}
