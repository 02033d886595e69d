import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type MaxErrors, RejectLimit } from '../../../src/run/job/reject-limit.ts'

interface Counted {
  readonly start: number
  readonly end: number
  readonly read: number
  readonly rejected: number
}

/** Whether a job fails at a limit when its ranges are committed in an order. */
function fails(maxErrors: MaxErrors, ranges: readonly Counted[]): boolean {
  const limit = new RejectLimit(maxErrors, 10)
  try {
    for (const range of ranges) limit.add(range)
    limit.finish()
    return false
  } catch {
    return true
  }
}

const ranges = fc
  .array(
    fc.record({ read: fc.integer({ min: 1, max: 900 }), bad: fc.integer({ min: 0, max: 12 }) }),
    {
      maxLength: 12,
    },
  )
  .map((sizes) => {
    let start = 10
    return sizes.map(({ read, bad }): Counted => {
      const range = { start, end: start + read, read, rejected: Math.min(read, bad) }
      start = range.end
      return range
    })
  })

describe('the limit of rejected rows', () => {
  test('judges alike in whatever order the ranges are committed', () => {
    const limits = fc.constantFrom<MaxErrors>(0, 5, 30, '0%', '1%', '2.5%')
    const both = ranges.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    )
    fc.assert(
      fc.property(
        limits,
        both,
        (limit, [list, shuffled]) => fails(limit, list) === fails(limit, shuffled),
      ),
      { numRuns: 2000 },
    )
  })

  test('judges a share from the first 1,000 records on, and at the end', () => {
    const many = { start: 10, end: 20, read: 500, rejected: 50 }
    const rest = { start: 20, end: 30, read: 9_500, rejected: 0 }
    expect(fails('1%', [many, rest])).toBe(false)
    expect(fails('1%', [many])).toBe(true)
    expect(fails('1%', [{ ...many, read: 1000 }, rest])).toBe(true)
  })

  test.each(['-1', '1.5', '101%', '%', 'x%', '1 %'])('is refused as %j', (text) => {
    const make = (): RejectLimit => new RejectLimit(text as MaxErrors, 0)
    expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_BAD_VALUE' }))
  })
})
