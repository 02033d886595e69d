import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type KeyBatch, KeyWriter } from '../../src/stage/keys/key-batch.ts'
import { KeySet } from '../../src/stage/keys/key-set.ts'

function batchOf(keys: readonly (readonly (string | null)[])[]): KeyBatch {
  const writer = new KeyWriter()
  writer.begin(keys.length)
  for (const parts of keys) {
    for (const part of parts) {
      if (part === null) writer.putNull()
      else writer.putText(part)
    }
    writer.endKey()
  }
  return writer.end()
}

const part = fc.oneof(
  fc.constantFrom(null, '', 'a', 'aa', '0', '00', '\u0000', 'ż'),
  fc.string({ maxLength: 40, unit: 'binary' }),
  fc.integer({ min: 0, max: 50 }).map(String),
  fc.integer({ min: 100, max: 140 }).map((length) => 'x'.repeat(length)),
)

describe('a set of keys', () => {
  test('says what a Map would, for keys of whatever bytes and any cut into batches', () => {
    const batches = fc.array(fc.array(fc.tuple(part, part), { maxLength: 60 }), { maxLength: 12 })
    fc.assert(
      fc.property(batches, (given) => {
        const set = new KeySet(1 << 20)
        const known = new Map<string, number>()
        given.forEach((keys, i) => {
          const expected = keys.map((key) => {
            const text = JSON.stringify(key)
            if (known.has(text)) return 0
            known.set(text, i)
            return 1
          })
          const { firsts, full } = set.firsts(batchOf(keys), i + 1, [])
          expect([...firsts]).toEqual(expected)
          expect(full).toBe(-1)
        })
        expect(set.size).toBe(known.size)
      }),
    )
  })

  test('gives the same answers again to an owner that begins again, wherever it had stopped', () => {
    const keys = fc.array(fc.tuple(part), { minLength: 1, maxLength: 80 })
    fc.assert(
      fc.property(keys, keys, keys, fc.nat(80), (before, own, after, stopped) => {
        const set = new KeySet(1 << 20)
        set.firsts(batchOf(before), 1, [])
        const reached = own.slice(0, stopped)
        const first = [...set.firsts(batchOf(reached), 2, []).firsts]
        const again = [...set.firsts(batchOf(own), 3, [2]).firsts]
        expect(again.slice(0, reached.length)).toEqual(first)
        const behind = [...set.firsts(batchOf(after), 4, []).firsts]
        expect([...set.firsts(batchOf(own), 5, [2, 3]).firsts]).toEqual(again)
        expect([...set.firsts(batchOf(after), 6, [4]).firsts]).toEqual(behind)
      }),
    )
  })

  test('compares all bytes of keys, some of which have the same hash among so many', () => {
    const set = new KeySet(64 << 20)
    const size = 300_000
    for (let from = 0; from < size; from += 10_000) {
      const keys = Array.from({ length: 10_000 }, (_, i) => [String((from + i) * 7919)])
      const { firsts } = set.firsts(batchOf(keys), 1, [])
      expect(firsts.every((one) => one === 1)).toBe(true)
      expect(set.firsts(batchOf(keys), 1, []).firsts.some((one) => one === 1)).toBe(false)
    }
    expect(set.size).toBe(size)
    expect(set.held / size).toBeLessThan(45)
  })

  test('takes no more memory than it may, and names the first key that there is none for', () => {
    const limit = 1 << 20
    const set = new KeySet(limit)
    const keys = Array.from({ length: 100_000 }, (_, i) => [`key ${String(i)}`])
    const { firsts, full } = set.firsts(batchOf(keys), 1, [])
    expect(set.held).toBeLessThanOrEqual(limit)
    expect(full).toBeGreaterThan(20_000)
    expect(set.size).toBe(full)
    expect(firsts.findIndex((one) => one === 0)).toBe(full)
    // What is known stays known.
    expect(set.firsts(batchOf(keys.slice(0, full)), 2, []).full).toBe(-1)
    expect(set.firsts(batchOf(keys.slice(full, full + 1)), 2, []).full).toBe(0)
  })

  test('takes keys that are larger than a segment', () => {
    const set = new KeySet(32 << 20)
    const large = 'x'.repeat(5 << 20)
    const keys = [['a'], [large], ['b'], [`${large}y`], [large], ['a'], ['b']]
    expect([...set.firsts(batchOf(keys), 1, []).firsts]).toEqual([1, 1, 1, 1, 0, 0, 0])
  })
})
