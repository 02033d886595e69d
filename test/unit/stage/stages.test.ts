import { describe, expect, test } from 'vitest'
import type { Row } from '../../../src/chunk/value.ts'
import { derive } from '../../../src/stage/derive.ts'
import { filter } from '../../../src/stage/filter.ts'
import { flatMap } from '../../../src/stage/flat-map.ts'
import { map } from '../../../src/stage/map.ts'
import { rename } from '../../../src/stage/rename.ts'
import { select } from '../../../src/stage/select.ts'
import type { AnyStage, BoundStage } from '../../../src/stage/stage.ts'
import { pass } from '../../helpers/stages.ts'

const types = { id: 'int4', name: 'text', price: 'numeric' }
const csv = '1,Ann,2.50\n2,,3\n3,"C ""c""",\n'

describe('select and rename', () => {
  test('choose and name columns, and touch no row', async () => {
    const passed = await pass(csv, types, select(['price', 'id']), rename({ price: 'cost' }))
    expect(passed.columns).toEqual(['cost', 'id'])
    expect(passed.types).toEqual(['numeric', 'int4'])
    expect(passed.rows).toEqual([
      ['2.50', 1],
      ['3', 2],
      [null, 3],
    ])
    expect(passed.stats).toEqual([])
  })

  test('refuse a column that is not there, naming those that are', async () => {
    await expect(pass(csv, types, select(['id', 'cost']))).rejects.toMatchObject({
      code: 'CONFIG_UNKNOWN_COLUMN',
      message: 'select names column "cost", which is not there',
      hint: 'its columns are "id", "name", "price"',
    })
    await expect(pass(csv, types, rename({ cost: 'x' }))).rejects.toMatchObject({
      code: 'CONFIG_UNKNOWN_COLUMN',
    })
  })

  test('refuse two columns of one name', async () => {
    const twice = pass(csv, types, rename({ name: 'id' }))
    await expect(twice).rejects.toMatchObject({ code: 'CONFIG_BAD_VALUE' })
    const swapped = await pass(csv, types, rename({ name: 'id', id: 'name' }))
    expect(swapped.columns).toEqual(['name', 'id', 'price'])
  })

  test('know names that JavaScript has for something else', async () => {
    const hostile = { constructor: 'int4', ['__proto__']: 'int4', toString: 'text' }
    const names = Object.fromEntries(Object.entries(hostile).map(([name]) => [name, `${name}2`]))
    const passed = await pass('1,2,x\n', { ...hostile, ['__proto__']: 'int4' }, rename(names))
    expect(passed.columns).toContain('constructor2')
  })
})

describe('filter', () => {
  test('keeps the rows its function says true of', async () => {
    const passed = await pass(
      csv,
      types,
      filter((row: Row) => row['price'] !== null),
    )
    expect(passed.rows.map(([id]) => id)).toEqual([1, 2])
    expect(passed.stats).toMatchObject([
      { stage: 'filter', in: 3, out: 2, filtered: 1, added: 0, failed: 0 },
    ])
  })

  test('sees what an earlier one has left', async () => {
    const seen: unknown[] = []
    const odd = filter((row: Row) => Number(row['id']) % 2 === 1)
    const watch = filter((row: Row) => seen.push(row['id']) > 0)
    await pass(csv, types, odd, watch)
    expect(seen).toEqual([1, 3])
  })
})

describe('derive', () => {
  test('adds columns and replaces columns in their place', async () => {
    const passed = await pass(
      csv,
      types,
      derive({
        name: (row: Row) => (row['name'] as string | null)?.toUpperCase(),
        double: (row: Row) => Number(row['price']) * 2,
      }),
    )
    expect(passed.columns).toEqual(['id', 'name', 'price', 'double'])
    expect(passed.types).toEqual(['int4', 'text', 'numeric', null])
    expect(passed.rows).toEqual([
      [1, 'ANN', '2.50', 5],
      [2, null, '3', 6],
      [3, 'C "C"', null, 0],
    ])
  })

  test('shows its functions the row as it was before the stage', async () => {
    const swap = derive({ id: (row: Row) => row['price'], price: (row: Row) => row['id'] })
    expect((await pass('1,a,2\n', types, swap)).rows).toEqual([['2', 'a', 1]])
  })

  test('names the type of a column for a new table', async () => {
    const typed = derive({
      half: { type: 'numeric(9,2)', value: (row: Row) => Number(row['id']) / 2 },
    })
    expect((await pass(csv, types, typed)).types.at(-1)).toBe('numeric(9,2)')
  })

  test('gives a row up on which it throws, and says where', async () => {
    const passed = await pass(
      csv,
      types,
      derive({ length: (row: Row) => (row['name'] as string).length }),
    )
    expect(passed.rows).toHaveLength(2)
    expect(passed.failures).toMatchObject([
      { stage: 'derive', record: 1, code: 'STAGE_THREW', columns: ['name'] },
    ])
    expect(passed.failures[0]!.reason).toMatch(/threw TypeError at stages\.test\.ts:\d+:\d+$/)
    expect(passed.stats).toMatchObject([{ in: 3, out: 2, failed: 1, filtered: 0 }])
  })

  test('gives a row up once, whichever of its functions throw', async () => {
    const passed = await pass(
      csv,
      types,
      derive({
        a: (row: Row) => (row['name'] as string).length,
        b: (row: Row) => (row['name'] as string).length,
      }),
    )
    expect(passed.stats).toMatchObject([{ in: 3, out: 2, failed: 1, filtered: 0 }])
  })

  test('gives a row up whose text is no value of the type, without showing it', async () => {
    const passed = await pass(
      '1,a,2\nsecret,b,3\n',
      types,
      derive({ next: (row: Row) => Number(row['id']) + 1 }),
    )
    expect(passed.failures).toMatchObject([{ record: 1, code: 'STAGE_CAST', columns: ['id'] }])
    expect(JSON.stringify(passed.failures)).not.toContain('secret')
  })
})

describe('map', () => {
  test('replaces rows, and a copy of the row it is given holds every column', async () => {
    const passed = await pass(
      csv,
      types,
      map((row: Row) => ({ ...row, id: Number(row['id']) * 10 })),
    )
    expect(passed.rows).toEqual([
      [10, 'Ann', '2.50'],
      [20, null, '3'],
      [30, 'C "c"', null],
    ])
  })

  test('makes other columns when they are named', async () => {
    const passed = await pass(
      csv,
      types,
      map((row: Row) => ({ id: row['id']!, total: 7n }), { columns: { id: null, total: 'int8' } }),
    )
    expect(passed.columns).toEqual(['id', 'total'])
    expect(passed.types).toEqual(['int4', 'int8'])
    expect(passed.rows[2]).toEqual([3, 7n])
  })

  test('makes a missing key NULL, and gives up a row with a key that is no column', async () => {
    const passed = await pass(
      csv,
      types,
      map((row: Row): object => (row['id'] === 2 ? { id: 2, tpyo: 1 } : { id: row['id'] })),
    )
    expect(passed.rows).toEqual([
      [1, null, null],
      [3, null, null],
    ])
    expect(passed.failures).toMatchObject([{ record: 1, code: 'STAGE_THREW' }])
    expect(passed.failures[0]!.reason).toContain('"tpyo"')
  })

  test('may return the row it is given', async () => {
    expect(
      (
        await pass(
          csv,
          types,
          map((row: Row) => row),
        )
      ).rows,
    ).toHaveLength(3)
  })
})

describe('flatMap', () => {
  const copies = flatMap((row: Row) => Array.from({ length: 3 - Number(row['id']) }, () => row))

  test('makes none, one or many rows of one, and counts them', async () => {
    const passed = await pass(csv, types, copies)
    expect(passed.rows.map(([id]) => id)).toEqual([1, 1, 2])
    expect(passed.records).toEqual([0, 0, 1])
    expect(passed.stats).toMatchObject([{ in: 3, out: 3, filtered: 1, added: 1, failed: 0 }])
  })

  test('leaves nothing of a row on which it fails halfway', async () => {
    const failing = flatMap(function* (row: Row) {
      yield row
      if (row['id'] === 2) throw new Error('no')
    })
    const passed = await pass(csv, types, failing, copies)
    expect(passed.rows.map(([id]) => id)).toEqual([1, 1])
    expect(passed.failures).toMatchObject([{ stage: 'flatMap', record: 1 }])
    expect(passed.stats).toMatchObject([
      { in: 3, out: 2, failed: 1, filtered: 0, added: 0 },
      { in: 2, out: 2, filtered: 1, added: 1 },
    ])
  })

  test('tells a later failure by the record that the row was made of', async () => {
    const strict = filter((row: Row) => {
      if (row['id'] === 2) throw new RangeError('no')
      return true
    })
    const passed = await pass(csv, types, copies, strict)
    expect(passed.failures).toMatchObject([{ stage: 'filter', row: 2, record: 1 }])
  })
})

describe('a stage of somebody else', () => {
  const stage = (what: Partial<BoundStage> | Error): AnyStage => ({
    name: 'mine',
    identity: null,
    wire: null,
    bind(columns) {
      if (what instanceof Error) throw what
      return { columns, ...what }
    },
  })

  test('that does not fit its columns is a mistake in the configuration', async () => {
    await expect(pass(csv, types, stage(new Error('no column zone')))).rejects.toMatchObject({
      code: 'CONFIG_BAD_STAGE',
      message: 'stage mine does not fit its columns: no column zone',
    })
  })

  test('that throws is told of by its place, without the message, which may hold values', async () => {
    const apply = (): never => {
      throw new RangeError('secret')
    }
    await expect(pass(csv, types, stage({ apply }))).rejects.toMatchObject({
      code: 'STAGE_THREW',
      message: expect.stringMatching(
        /^stage mine threw RangeError at stages\.test\.ts:\d+:\d+$/,
      ) as string,
    })
  })
})

describe('the values of a row', () => {
  test('are those of the column type', async () => {
    const all = {
      int2: '-7',
      int8: '9007199254740993',
      float8: '1e-3',
      numeric: '12345678901234567890.10',
      bool: 'f',
      bytea: '\\x00ff',
      date: '2024-02-29',
      timestamptz: '2024-02-29 01:02:03.000001+02',
      json: '"{""a"": 1}"',
    }
    const names = Object.fromEntries(Object.keys(all).map((type) => [type, type]))
    const [row] = (await pass(`${Object.values(all).join(',')}\n`, names)).rows
    expect(row).toEqual([
      -7,
      9007199254740993n,
      0.001,
      '12345678901234567890.10',
      false,
      Buffer.of(0, 255),
      '2024-02-29',
      '2024-02-29 01:02:03.000001+02',
      '{"a": 1}',
    ])
  })

  test('are read with the freedom that the server has', async () => {
    const freely = { a: 'int4', b: 'bool', c: 'float8', d: 'float8', e: 'int8' }
    const [row] = (await pass(' +12 ,YES,-Infinity,NaN,-5\n', freely)).rows
    expect(row).toEqual([12, true, -Infinity, NaN, -5n])
  })

  test('are whole characters, also beyond ASCII and across a chunk with both', async () => {
    const [one, two] = (await pass('1,Zoë,\n2,"日""本",\n', types)).rows
    expect([one![1], two![1]]).toEqual(['Zoë', '日"本'])
  })
})
