import type { Firsts, KeyBatch } from './key-batch.ts'

/** Who has brought a key: a number of the caller's, from 1 to 2^32 - 1. */
export type KeyOwner = number

const SHARDS = 64
/** The highest bits of a hash choose the shard, the lowest the slot. */
const SHARD_SHIFT = 26
const FIRST_SLOTS = 16
/** Bytes of the first segment; each is twice as large as the one before, up to the largest. */
const FIRST_SEGMENT = 1 << 16
/** Words that a place in a segment is told by: 4 MiB. */
const SEGMENT_BITS = 20
const LARGEST_SEGMENT = 4 << SEGMENT_BITS
const MOST_SEGMENTS = 1 << (32 - SEGMENT_BITS)
/** Words before a key's bytes: its owner, its length. */
const HEAD_WORDS = 2
const ENTRY_BYTES = 8

/** A part of the table: pairs of a key's hash and its place + 1, 0 for none. */
interface Shard {
  slots: Uint32Array
  count: number
}

interface Segment {
  readonly words: Uint32Array
  readonly bytes: Uint8Array
}

/**
 * A set of keys that knows who has brought each, within a bound of memory.
 *
 * Shape:  two keys are the same when all of their bytes are; the hash only says where to look.
 * Units:  `limit` in bytes of the table and of the keys. A key costs its bytes, rounded up to 4, and 8, and 11 to 21 of the
 *         table.
 * Why:    keys stand in a few large buffers, not in objects or strings: the collector does not see them. The table is split
 *         into shards that grow one at a time: doubling all of it at once would need half as much memory again.
 */
export class KeySet {
  readonly #limit: number
  readonly #shards: Shard[]
  readonly #segments: Segment[] = []
  /** Whoever writes the input should not know which keys fall together. */
  readonly #seed = (Math.random() * 2 ** 32) >>> 0
  /** In words of the last segment. */
  #used = 0
  #held = SHARDS * FIRST_SLOTS * ENTRY_BYTES
  #size = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#shards = Array.from({ length: SHARDS }, () => ({
      slots: new Uint32Array(FIRST_SLOTS * 2),
      count: 0,
    }))
  }

  get size(): number {
    return this.#size
  }

  /** Bytes. */
  get held(): number {
    return this.#held
  }

  /**
   * Takes keys in, and says which of them are firsts: new ones, which are the owner's from now on, and those that belong to
   * one of `before`, owners that it takes the place of.
   */
  firsts(keys: KeyBatch, owner: KeyOwner, before: readonly KeyOwner[]): Firsts {
    const { bytes, ends } = keys
    const firsts = new Uint8Array(ends.length)
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const to = ends[i]!
      const found = this.#take(bytes, from, to, owner, before)
      if (found === FULL) return { firsts, full: i }
      firsts[i] = found
      from = to
    }
    return { firsts, full: -1 }
  }

  #take(
    bytes: Uint8Array,
    from: number,
    to: number,
    owner: KeyOwner,
    before: readonly KeyOwner[],
  ): number {
    const hash = hashOf(bytes, from, to, this.#seed)
    const shard = this.#shards[hash >>> SHARD_SHIFT]!
    const { slots } = shard
    const mask = slots.length / 2 - 1
    let slot = hash & mask
    for (; slots[slot * 2 + 1] !== 0; slot = (slot + 1) & mask) {
      if (slots[slot * 2] !== hash) continue
      const place = slots[slot * 2 + 1]! - 1
      const words = this.#segments[place >>> SEGMENT_BITS]!.words
      const word = place & (2 ** SEGMENT_BITS - 1)
      if (words[word + 1] !== to - from || !this.#isAt(place, bytes, from, to)) continue
      if (words[word] === owner || !before.includes(words[word]!)) return KNOWN
      words[word] = owner
      return FIRST
    }
    if (!this.#makeRoom(shard)) return FULL
    const place = this.#store(bytes, from, to, owner)
    if (place === null) return FULL
    put(shard.slots, hash, place + 1)
    shard.count++
    this.#size++
    return FIRST
  }

  #isAt(place: number, bytes: Uint8Array, from: number, to: number): boolean {
    const stored = this.#segments[place >>> SEGMENT_BITS]!.bytes
    const start = ((place & (2 ** SEGMENT_BITS - 1)) + HEAD_WORDS) * 4
    for (let i = from, at = start; i < to; i++, at++) if (stored[at] !== bytes[i]) return false
    return true
  }

  /** Writes a key behind the others; returns its place, null when there is none left. */
  #store(bytes: Uint8Array, from: number, to: number, owner: KeyOwner): number | null {
    const needed = HEAD_WORDS + Math.ceil((to - from) / 4)
    let segment = this.#segments.at(-1)
    if (segment === undefined || this.#used + needed > segment.words.length) {
      const added = this.#addSegment(needed * 4)
      if (added === null) return null
      segment = added
    }
    const word = this.#used
    segment.words[word] = owner
    segment.words[word + 1] = to - from
    segment.bytes.set(bytes.subarray(from, to), (word + HEAD_WORDS) * 4)
    this.#used += needed
    return (this.#segments.length - 1) * 2 ** SEGMENT_BITS + word
  }

  #addSegment(least: number): Segment | null {
    const usual = Math.min(
      LARGEST_SEGMENT,
      FIRST_SEGMENT * 2 ** Math.min(16, this.#segments.length),
    )
    const left = this.#limit - this.#held
    // The last segment is as large as there is room for.
    const size = Math.max(least, Math.min(usual, Math.floor(left / 4) * 4))
    // The place of the last word, plus 1, has to fit 32 bits.
    if (size > left || this.#segments.length >= MOST_SEGMENTS - 1) return null
    const buffer = new ArrayBuffer(size)
    const segment = { words: new Uint32Array(buffer), bytes: new Uint8Array(buffer) }
    this.#segments.push(segment)
    this.#held += size
    this.#used = 0
    return segment
  }

  /** Whether a shard can take another key: doubled where it is three quarters full, else up to seven eighths. */
  #makeRoom(shard: Shard): boolean {
    const { slots, count } = shard
    const most = slots.length / 2
    if ((count + 1) * 4 <= most * 3) return true
    if (this.#held + slots.byteLength > this.#limit) return (count + 1) * 8 <= most * 7
    const larger = new Uint32Array(slots.length * 2)
    for (let at = 0; at < slots.length; at += 2) {
      if (slots[at + 1] !== 0) put(larger, slots[at]!, slots[at + 1]!)
    }
    this.#held += slots.byteLength
    shard.slots = larger
    return true
  }
}

/** Puts a pair into the next slot that is free. */
function put(slots: Uint32Array, hash: number, place: number): void {
  const mask = slots.length / 2 - 1
  let slot = hash & mask
  while (slots[slot * 2 + 1] !== 0) slot = (slot + 1) & mask
  slots[slot * 2] = hash
  slots[slot * 2 + 1] = place
}

const KNOWN = 0
const FIRST = 1
const FULL = -1

/** FNV-1a, with the last step of MurmurHash3, which spreads what short keys leave in the low bits. */
function hashOf(bytes: Uint8Array, from: number, to: number, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) | 0
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
