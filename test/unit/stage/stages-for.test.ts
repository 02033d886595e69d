import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  csv,
  derive,
  filter,
  map,
  type RowOfInput,
  select,
  stagesFor,
  type Stage,
} from '../../../src/index.ts'

const trips = csv('trips.csv', { types: { id: 'int8', fare: 'numeric', minutes: 'int4' } })

describe('stagesFor', () => {
  test('types each row by the source and the stages before', () => {
    const stages = stagesFor(
      trips,
      filter((trip) => {
        expectTypeOf(trip.id).toEqualTypeOf<bigint | null>()
        return trip.minutes !== null
      }),
      derive({ rate: (trip) => Number(trip.fare) / trip.minutes! }),
      filter((trip) => {
        expectTypeOf(trip.rate).toEqualTypeOf<number>()
        return trip.rate > 1
      }),
      select(['id', 'rate']),
      map((trip) => ({ ...trip, rate: Math.round(trip.rate) })),
    )
    expect(stages.map(({ name }) => name)).toEqual(['filter', 'derive', 'filter', 'select', 'map'])
  })

  test('refuses columns that are not there', () => {
    // @ts-expect-error there is no such column
    const tip = filter((trip: RowOfInput<typeof trips>) => trip.tip === '1')
    const rate = derive({ rate: (trip: RowOfInput<typeof trips>) => Number(trip.fare) })
    // @ts-expect-error the column is not there any more
    const stages = stagesFor(trips, tip, select(['id']), rate)
    expect(stages).toHaveLength(3)
    const untyped = csv('trips.csv')
    expect(
      stagesFor(
        untyped,
        filter((row) => row['tip'] === '1'),
      ),
    ).toHaveLength(1)
  })

  test('is not needed where a function says what it is given', () => {
    const own = derive({ key: (row: { id: number }) => (row.id === 1 ? 7n : 7) })
    expectTypeOf(own).toExtend<Stage<{ id: number }, { readonly key: bigint | number }>>()
  })
})
