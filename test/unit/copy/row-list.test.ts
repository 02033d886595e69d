import { describe, expect, test } from 'vitest'
import { rowNumbers } from '../../../src/copy/row-list.ts'

describe('places among all rows but some', () => {
  test.each([
    { left: [], places: [0, 1, 5], rows: [0, 1, 5] },
    { left: [0], places: [0, 1], rows: [1, 2] },
    { left: [1, 2, 4], places: [0, 1, 2, 3], rows: [0, 3, 5, 6] },
    { left: [3], places: [2, 3], rows: [2, 4] },
  ])('are the rows $rows for $places without $left', ({ left, places, rows }) => {
    expect(places.map(rowNumbers(left))).toEqual(rows)
  })
})
