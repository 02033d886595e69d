import { describe, expect, test } from 'vitest'
import { flatMap } from '../../../src/stage/flat-map.ts'
import { Lineage } from '../../../src/stage/lineage.ts'
import { pass } from '../../helpers/stages.ts'

describe('a lineage', () => {
  const first = new Lineage(Int32Array.of(0, 0, 2, 2, 2), null)
  const second = new Lineage(Int32Array.of(1, 1, 4, 0), first)

  test('numbers the rows that were made of the same one, at each step', () => {
    expect([0, 1, 2, 3, 4].map((row) => first.partOf(row))).toEqual([[0], [1], [0], [1], [2]])
    expect([0, 1, 2, 3].map((row) => second.partOf(row))).toEqual([
      [1, 0],
      [1, 1],
      [2, 0],
      [0, 0],
    ])
  })

  test('knows rows of every step, by their record', () => {
    expect(second.has(0, [1, 1])).toBe(true)
    expect(second.has(2, [0])).toBe(true)
    expect(second.has(0, [2])).toBe(false)
    expect(second.has(1, [0])).toBe(false)
    expect(second.has(2, [1, 0])).toBe(false)
  })
})

describe('a row that fails behind stages that make rows', () => {
  test('is told with its number in its record', async () => {
    const twice = flatMap((row: { n: string }) => [{ n: `${row.n}a` }, { n: `${row.n}b` }])
    const picky = flatMap((row: { n: string }) => {
      if (row.n === '2b') throw new Error('no')
      return [row]
    })
    const { failures, records } = await pass('1\n2\n', { n: 'text' }, twice, picky)
    expect(failures).toMatchObject([{ record: 1, part: [1] }])
    expect(records).toEqual([0, 0, 1])
  })
})
