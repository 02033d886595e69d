import { writeFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../../src/core/errors.ts'
import { derive } from '../../../src/stage/derive.ts'
import { enrich } from '../../../src/stage/enrich.ts'
import type {
  CsvLookup,
  FunctionLookup,
  KeyPart,
  TableLookup,
} from '../../../src/stage/lookup/enrichment.ts'
import type { AnyStage } from '../../../src/stage/stage.ts'
import { stageOf } from '../../../src/stage/wire.ts'
import { pass, passAll } from '../../helpers/stages.ts'
import { useTempDir } from '../../helpers/temp-dir.ts'

const dir = useTempDir()
const types = { id: 'int4', code: 'text' }

/** Doubles numbers under 100, and remembers what it was asked. */
function doubler(options: Partial<FunctionLookup<KeyPart>> = {}): {
  stage: AnyStage
  calls: (readonly KeyPart[])[]
} {
  const calls: (readonly KeyPart[])[] = []
  const stage = enrich('id', {
    lookup: (keys: readonly KeyPart[]) => {
      calls.push(keys)
      const double = (key: KeyPart): { double: number } | null =>
        Number(key) < 100 ? { double: Number(key) * 2 } : null
      return Promise.resolve(keys.map(double))
    },
    columns: ['double'],
    ...options,
  })
  return { stage, calls }
}

async function failure(work: Promise<unknown>): Promise<Error & { code?: string; hint?: string }> {
  const thrown: unknown = await work.then(
    () => null,
    (error: unknown) => error,
  )
  if (thrown instanceof Error) return thrown
  throw new Error('it did not fail')
}

describe('enrich by a function', () => {
  test('adds columns, and asks once for the distinct keys of a chunk, in the order they come', async () => {
    const { stage, calls } = doubler()
    const passed = await pass('2,a\n1,b\n2,c\n200,d\n', types, stage)
    expect(calls).toEqual([[2, 1, 200]])
    expect(passed.columns).toEqual(['id', 'code', 'double'])
    expect(passed.rows).toEqual([
      [2, 'a', 4],
      [1, 'b', 2],
      [2, 'c', 4],
      [200, 'd', null],
    ])
    expect(passed.stats).toMatchObject([{ stage: 'enrich', in: 4, out: 4, filtered: 0, failed: 0 }])
  })

  test('does not ask again for what it knows, found or not', async () => {
    const { stage, calls } = doubler()
    const chunks = await passAll(['1,a\n200,b\n', '200,c\n1,d\n', '1,e\n3,f\n'], types, stage)
    expect(calls).toEqual([[1, 200], [3]])
    expect(chunks[1]!.rows).toEqual([
      [200, 'c', null],
      [1, 'd', 2],
    ])
  })

  test('forgets the key that was not used for longest', async () => {
    const { stage, calls } = doubler({ cache: 2 })
    await passAll(['1,\n2,\n', '1,\n', '3,\n', '1,\n', '2,\n'], types, stage)
    expect(calls).toEqual([[1, 2], [3], [2]])
  })

  test('has all that a chunk needs, however little it remembers', async () => {
    const { stage, calls } = doubler({ cache: 0 })
    const [first] = await passAll(['1,\n2,\n3,\n1,\n', '1,\n'], types, stage)
    expect(calls).toEqual([[1, 2, 3], [1]])
    expect(first!.rows.map(([, , double]) => double)).toEqual([2, 4, 6, 2])
    const one = doubler({ cache: 1 })
    const [again] = await passAll(['1,\n2,\n', '2,\n1,\n'], types, one.stage)
    expect(one.calls).toEqual([[1, 2], [1]])
    expect(again!.rows.map(([, , double]) => double)).toEqual([2, 4])
  })

  test('finds nothing for NULL, and does not ask', async () => {
    const { stage, calls } = doubler()
    const passed = await pass(',a\n,b\n', types, stage)
    expect(calls).toEqual([])
    expect(passed.rows).toEqual([
      [null, 'a', null],
      [null, 'b', null],
    ])
  })

  test('asks for keys of several columns as arrays, and knows them apart', async () => {
    const calls: unknown[] = []
    const stage = enrich(['code', 'name'], {
      lookup: (keys: readonly (readonly KeyPart[])[]) => {
        calls.push(keys)
        return keys.map((key) => ({ joined: key.join('|') }))
      },
      columns: { joined: 'text' },
    })
    const csv = '1,a,1 bc\n2,a1 b,c\n3,a,\n4,,c\n5,a,1 bc\n'
    const passed = await pass(csv, { id: 'int4', code: 'text', name: 'text' }, stage)
    expect(calls).toEqual([
      [
        ['a', '1 bc'],
        ['a1 b', 'c'],
      ],
    ])
    expect(passed.rows.map((row) => row[3])).toEqual(['a|1 bc', 'a1 b|c', null, null, 'a|1 bc'])
    expect(passed.types.at(-1)).toBe('text')
  })

  test('sees keys as values, and takes those with one text for one', async () => {
    const calls: unknown[] = []
    const stage = enrich('key', {
      lookup: (keys: readonly KeyPart[]) => {
        calls.push(keys)
        return keys.map(() => null)
      },
      columns: ['x'],
    })
    const big = derive({ key: (row: { id: number }) => (row.id === 1 ? 7n : 7) })
    await pass('1,\n2,\n', types, big, stage)
    expect(calls).toEqual([[7n]])
  })

  test.each([
    ['null', [1, 200, null], { filtered: 0, failed: 0 }],
    ['drop', [1], { filtered: 2, failed: 0 }],
    ['fail', [1], { filtered: 0, failed: 2 }],
  ] as const)('takes rows that find nothing as it is told to: %s', async (missing, ids, stats) => {
    const passed = await pass('1,a\n200,b\n,c\n', types, doubler({ missing }).stage)
    expect(passed.rows.map(([id]) => id)).toEqual(ids)
    expect(passed.stats).toMatchObject([{ in: 3, out: ids.length, ...stats }])
    const failures = [
      { record: 1, code: 'STAGE_INVALID', reason: 'nothing is found for its key', columns: ['id'] },
      { record: 2, code: 'STAGE_INVALID', reason: 'its key is NULL', columns: ['id'] },
    ]
    expect(passed.failures).toMatchObject(missing === 'fail' ? failures : [])
  })

  test('replaces a column of the same name in its place, which keeps its type', async () => {
    const columns = { code: null, more: 'int8' }
    const lookup = (keys: readonly KeyPart[]) => keys.map(() => ({ code: 'new', more: 1n }))
    const passed = await pass('1,old\n,old\n', types, enrich('id', { lookup, columns }))
    expect(passed.columns).toEqual(['id', 'code', 'more'])
    expect(passed.types).toEqual(['int4', 'text', 'int8'])
    expect(passed.rows).toEqual([
      [1, 'new', 1n],
      [null, null, null],
    ])
  })

  test('gives a row up whose key is no value of its column, without showing it', async () => {
    const { stage, calls } = doubler({ missing: 'drop' })
    const passed = await pass('1,a\nsecret,b\n', types, stage)
    expect(calls).toEqual([[1]])
    expect(passed.failures).toMatchObject([{ record: 1, code: 'STAGE_CAST', columns: ['id'] }])
    expect(passed.stats).toMatchObject([{ in: 2, out: 1, failed: 1, filtered: 0 }])
    expect(JSON.stringify(passed.failures)).not.toContain('secret')
  })

  test.each([
    ['throws', (): never[] => fail('secret')],
    ['rejects', () => Promise.reject<never[]>(new TypeError('secret'))],
  ])('ends the load when it %s, without a value in the message', async (_, lookup) => {
    const error = await failure(pass('1,a\n', types, enrich('id', { lookup, columns: ['x'] })))
    expect(error).toMatchObject({ name: 'StageError', code: 'STAGE_THREW' })
    expect(error.message).toMatch(
      /^stage enrich \(id\): its lookup threw \w*Error at enrich\.test\.ts:\d+:\d+$/,
    )
    expect((error.cause as Error).message).toBe('secret')
  })

  test.each([
    ['too few results', () => [], '0 results for 2 keys'],
    ['no array', () => ({}) as [], 'no array'],
    ['no objects', () => [1, 'secret'] as unknown as [], 'a result that is no object'],
    ['other columns', () => [null, { y: 1 }], 'a key that is no column, "y"'],
  ])('ends the load when it gives %s', async (_, lookup, what) => {
    const stage = enrich('id', { lookup, columns: ['x'] })
    const error = await failure(pass('1,a\n2,b\n', types, stage))
    expect(error).toMatchObject({ name: 'StageError', code: 'STAGE_VALUE' })
    expect(error.message).toContain(`stage enrich (id): its lookup returned ${what}`)
    expect(error.message).not.toContain('secret')
  })

  test('cannot leave its thread', () => {
    expect(doubler().stage.wire).toBeNull()
  })
})

function fail(message: string): never {
  throw new RangeError(message)
}

describe('enrich by a CSV file', () => {
  const regions =
    'country;code;region;note\nIT;RM;Lazio;"a;b"\nIT;MI;Lombardia;\n\n;MI;Nowhere;x\nFR;MI;Île;x\n'
  const byCode = { key: ['country', 'code'], columns: ['region'] } as const

  test('adds its columns as text, by a key of several columns', async () => {
    const csv = await dir.write('regions.csv', regions)
    const stage = enrich(['country', 'code'], { csv, ...byCode, columns: ['region', 'note'] })
    const passed = await pass(
      'IT,RM\nIT,MI\nFR,MI\n,MI\nFR,RM\n',
      { country: 'text', code: 'text' },
      stage,
    )
    expect(passed.columns).toEqual(['country', 'code', 'region', 'note'])
    expect(passed.types).toEqual(['text', 'text', 'text', 'text'])
    expect(passed.rows.map((row) => row.slice(2))).toEqual([
      ['Lazio', 'a;b'],
      ['Lombardia', null],
      ['Île', 'x'],
      [null, null],
      [null, null],
    ])
  })

  test('renames what it adds, and compares keys by their text', async () => {
    const csv = await dir.write('numbers.csv', 'n,word\n7,seven\n07,no\n1.50,much\n')
    const options = { csv, key: 'n', columns: { as: 'word' } }
    const passed = await pass('7,1.5\n+7,1.50\n', { n: 'int8', m: 'numeric' }, enrich('n', options))
    expect(passed.rows.map((row) => row[2])).toEqual(['seven', 'seven'])
    const second = await pass('7,1.5\n7,1.50\n', { n: 'int8', m: 'numeric' }, enrich('m', options))
    expect(second.rows.map((row) => row[2])).toEqual([null, 'much'])
  })

  test('makes a column that it replaces text', async () => {
    const csv = await dir.write('replaced.csv', 'k,v\n1,one\n')
    const stage = enrich('id', { csv, key: 'k', columns: { id: 'v' } })
    const passed = await pass('1,a\n', types, stage)
    expect([passed.columns, passed.types]).toEqual([
      ['id', 'code'],
      ['text', 'text'],
    ])
    expect(passed.rows).toEqual([['one', 'a']])
  })

  test('reads a dialect that it is told of, and a byte order mark', async () => {
    const csv = await dir.write('tabs.csv', '\ufeffk:v\n1:-\n2:b\n')
    const dialect = { delimiter: ':', nullText: '-' }
    const stage = enrich('id', { csv, key: 'k', columns: ['v'], dialect })
    const { rows } = await pass('1,a\n2,a\n', types, stage)
    expect(rows.map((row) => row[2])).toEqual([null, 'b'])
  })

  test('only looks whether a key is there when no columns are asked for', async () => {
    const csv = await dir.write('some.csv', 'k\n1\n3\n')
    const stage = enrich('id', { csv, key: 'k', columns: [], missing: 'drop' })
    const passed = await pass('1,a\n2,b\n3,c\n', types, stage)
    expect(passed.rows.map(([id]) => id)).toEqual([1, 3])
  })

  test('is refused when a key is there twice', async () => {
    const csv = await dir.write('twice.csv', 'k,v\n1,a\nsecret,b\n\nsecret,c\n')
    const error = await failure(
      pass('1,a\n', types, enrich('id', { csv, key: 'k', columns: ['v'] })),
    )
    expect(error).toBeInstanceOf(ConfigError)
    expect(error.message).toBe(
      `enrich cannot look up in ${csv}: its records 3 and 5 have the same key (k)`,
    )
  })

  test('is refused when a column is not there, or not one', async () => {
    const csv = await dir.write('columns.csv', 'k,v,v\n1,a,b\n')
    const absent = await failure(
      pass('1,a\n', types, enrich('id', { csv, key: 'key', columns: [] })),
    )
    expect(absent).toMatchObject({
      code: 'CONFIG_UNKNOWN_COLUMN',
      message: `enrich names column "key" of ${csv}, which is not there`,
      hint: 'its columns are "k", "v", "v"',
    })
    const twice = await failure(
      pass('1,a\n', types, enrich('id', { csv, key: 'k', columns: ['v'] })),
    )
    expect(twice.message).toContain('is there more than once')
  })

  test('is refused when it is too large, with what to do about it', async () => {
    const csv = await dir.write('large.csv', 'k,v\n1,a\n')
    const stage = enrich('id', { csv, key: 'k', columns: ['v'], maxBytes: 7 })
    for (const error of [
      await failure(stage.fingerprint!()),
      await failure(pass('1,a\n', types, stage)),
    ]) {
      expect(error).toMatchObject({
        code: 'CONFIG_BAD_VALUE',
        message: `enrich cannot look up in ${csv}: it is 8 bytes, over the limit of 7`,
        hint: expect.stringContaining('{ table }') as string,
      })
    }
  })

  test.each([
    ['a record of another length', 'k,v\n1\n', 'SOURCE_BAD_ROW', 'record 2 (line 2)'],
    ['bytes that are not UTF-8', Buffer.from('k,v\n1,\xff\n', 'latin1'), 'SOURCE_BAD_ROW', 'UTF-8'],
    ['a quote that is not closed', 'k,v\n1,"a\n', 'SOURCE_UNTERMINATED_QUOTE', 'record 2 (line 2)'],
    ['nothing in it', '', 'CONFIG_UNKNOWN_COLUMN', 'which is not there'],
  ])('is refused when it has %s', async (what, content, code, message) => {
    const csv = await dir.write(`${what}.csv`, content)
    const error = await failure(
      pass('1,a\n', types, enrich('id', { csv, key: 'k', columns: ['v'] })),
    )
    expect(error.code).toBe(code)
    expect(error.message).toContain(csv)
    expect(error.message).toContain(message)
  })

  test('says that there is no such file', async () => {
    const stage = enrich('id', { csv: dir.path('none.csv'), key: 'k', columns: ['v'] })
    expect(await failure(stage.fingerprint!())).toMatchObject({ code: 'SOURCE_NOT_FOUND' })
  })

  test('belongs to a job by its content, not by its place', async () => {
    const options = { key: 'k', columns: ['v'] }
    const stages = await Promise.all(
      ['k,v\n1,a\n', 'k,v\n1,a\n', 'k,v\n1,b\n'].map(async (content, i) =>
        enrich('id', { csv: await dir.write(`same${String(i)}.csv`, content), ...options }),
      ),
    )
    const [one, same, other] = await Promise.all(stages.map((stage) => stage.fingerprint!()))
    expect(one).toBe(same)
    expect(one).not.toBe(other)
    expect(stages[0]!.identity).toEqual(stages[1]!.identity)
    const strict = enrich('id', { csv: dir.path('same0.csv'), ...options, missing: 'fail' })
    expect(strict.identity).not.toEqual(stages[0]!.identity)
  })

  test('is refused when it was changed since its fingerprint was taken, and read anew after it', async () => {
    const csv = await dir.write('changed.csv', 'k,v\n1,a\n')
    const stage = enrich('id', { csv, key: 'k', columns: ['v'] })
    await stage.fingerprint!()
    await writeFile(csv, 'k,v\n1,b\n')
    const error = await failure(pass('1,a\n', types, stage))
    expect(error).toMatchObject({ code: 'SOURCE_CHANGED_WHILE_READING' })
    await stage.fingerprint!()
    const { rows } = await pass('1,a\n', types, stage)
    expect(rows).toEqual([[1, 'a', 'b']])
  })

  test('is made again in another thread of plain data, wherever it was named from', async () => {
    const csv = pathToFileURL(await dir.write('plain.csv', 'k|v\n1|a\n'))
    const stage = enrich('id', { csv, key: 'k', columns: ['v'], missing: 'drop' })
    const again = stageOf(structuredClone(stage.wire!))
    expect(again.identity).toEqual(stage.identity)
    expect(await again.fingerprint!()).toBe(await stage.fingerprint!())
    expect((await pass('1,x\n2,y\n', types, again)).rows).toEqual([[1, 'x', 'a']])
  })
})

describe('enrich', () => {
  test('refuses a key that is not there, and options that cannot be used', async () => {
    const { stage } = doubler()
    await expect(pass('1\n', { other: 'text' }, stage)).rejects.toMatchObject({
      code: 'CONFIG_UNKNOWN_COLUMN',
      message: 'enrich names column "id", which is not there',
    })
    const table: TableLookup = { table: 'zones', key: 'id', columns: ['x'] }
    const csv: CsvLookup = { csv: 'zones.csv', key: 'id', columns: ['x'] }
    const bad = [
      () => enrich('id', { ...table, key: ['a', 'b'] }),
      () => enrich(['a', 'b'], { ...csv, key: 'a' }),
      () => enrich('id', { ...table, cache: -1 }),
      () => enrich('id', { ...table, cache: 1.5 }),
      () => enrich('id', { ...csv, maxBytes: NaN }),
      () => enrich('id', { ...table, table: 'a.b.c' }),
      () => enrich('id', { ...csv, missing: 'skip' as 'drop' }),
      () => enrich('id', { key: 'id', columns: ['x'] } as unknown as TableLookup),
    ]
    for (const make of bad) expect(make).toThrow(ConfigError)
  })

  test('tells stages behind it of its columns', () => {
    interface In {
      readonly id: number
      readonly code: string
    }
    const stage = enrich<In, { csv: string; key: string; columns: ['region', 'code'] }>('id', {
      csv: 'x.csv',
      key: 'k',
      columns: ['region', 'code'],
    })
    const out: { id: number; region: string | null; code: string | null } = stage.rows?.(
      null as never,
    ) ?? { id: 1, region: null, code: null }
    expect(Object.keys(out)).toEqual(['id', 'region', 'code'])
  })
})
