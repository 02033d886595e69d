import { describe, expect, test } from 'vitest'
import { dedupe } from '../../../src/stage/dedupe.ts'
import { derive } from '../../../src/stage/derive.ts'
import { filter } from '../../../src/stage/filter.ts'
import { keyFormOf } from '../../../src/stage/keys/key-form.ts'
import { stageOf } from '../../../src/stage/wire.ts'
import type { Row } from '../../../src/chunk/value.ts'
import { pass, passAll } from '../../helpers/stages.ts'

/** The first fields of the rows that are kept. */
async function kept(
  csv: string,
  types: Readonly<Record<string, string>>,
  ...stages: Parameters<typeof pass>[2][]
): Promise<unknown[]> {
  const { rows, failures } = await pass(csv, types, ...stages)
  expect(failures).toEqual([])
  return rows.map(([first]) => first)
}

const TYPES = { n: 'text', k: 'text' }

describe('dedupe', () => {
  test('keeps the first row of each key and counts the others as filtered', async () => {
    const { rows, stats } = await pass('1,a\n2,b\n3,a\n4,b\n5,c\n', TYPES, dedupe('k'))
    expect(rows.map(([n]) => n)).toEqual(['1', '2', '5'])
    expect(stats).toMatchObject([{ stage: 'dedupe', in: 5, out: 3, filtered: 2, failed: 0 }])
  })

  test('remembers keys from chunk to chunk', async () => {
    const chunks = await passAll(['1,a\n2,b\n', '3,a\n4,c\n', '5,c\n'], TYPES, dedupe('k'))
    expect(chunks.map(({ rows }) => rows.map(([n]) => n))).toEqual([['1', '2'], ['4'], []])
  })

  test('takes the parts of a key apart', async () => {
    const types = { n: 'text', a: 'text', b: 'text' }
    const csv = '1,a,bc\n2,ab,c\n3,abc,""\n4,"",abc\n5,a,bc\n'
    expect(await kept(csv, types, dedupe(['a', 'b']))).toEqual(['1', '2', '3', '4'])
  })

  test('keeps all rows with a NULL in their key, or one of each where NULLs are equal', async () => {
    const types = { n: 'text', a: 'text', b: 'text' }
    const csv = '1,,x\n2,,x\n3,,\n4,"",x\n5,,\n6,"",x\n'
    expect(await kept(csv, types, dedupe(['a', 'b']))).toEqual(['1', '2', '3', '4', '5'])
    const equal = dedupe(['a', 'b'], { nulls: 'equal' })
    expect(await kept(csv, types, equal)).toEqual(['1', '3', '4'])
  })

  test('compares quoted text with its quotes taken off', async () => {
    expect(await kept('1,a\n2,"a"\n3,"a""b"\n4,"a""b"\n', TYPES, dedupe('k'))).toEqual(['1', '3'])
  })

  test('looks at the rows that stages before it have kept and made', async () => {
    const odd = filter((row: Row) => row['n'] !== '1')
    const upper = derive({ k: (row: Row) => String(row['k']).toUpperCase() })
    expect(await kept('1,a\n2,a\n3,A\n4,b\n', TYPES, odd, upper, dedupe('k'))).toEqual(['2', '4'])
  })

  test('gives a row up whose key is no value of its type', async () => {
    const { failures } = await pass('1,5\n2,x\n', { n: 'text', k: 'int4' }, dedupe('k'))
    expect(failures).toMatchObject([{ stage: 'dedupe', record: 1, code: 'STAGE_CAST' }])
  })

  test('gives the row up that there is no memory for, and says so', async () => {
    const long = 'x'.repeat(1 << 20)
    const { failures } = await pass(`1,a\n2,${long}\n`, TYPES, dedupe('k', { maxMemory: 1 << 20 }))
    expect(failures).toMatchObject([{ record: 1, code: 'STAGE_LIMIT', columns: ['k'] }])
    expect(failures[0]!.reason).toContain('1048576 bytes that maxMemory allows')
  })

  test('is made again of plain data; its memory is no part of what it is', () => {
    const stage = dedupe(['a', 'b'], { nulls: 'equal', maxMemory: 2 << 20 })
    const again = stageOf(JSON.parse(JSON.stringify(stage.wire)) as never)
    expect(again.identity).toEqual(stage.identity)
    expect(again.keySets).toEqual([{ maxMemory: 2 << 20 }])
    expect(dedupe(['a', 'b'], { nulls: 'equal' }).identity).toEqual(stage.identity)
    expect(dedupe(['a', 'b']).identity).not.toEqual(stage.identity)
  })

  test.each([
    ['no key', () => dedupe([])],
    ['an unknown word', () => dedupe('a', { nulls: 'first' as never })],
    ['too little memory', () => dedupe('a', { maxMemory: 1000 })],
  ])('is refused with %s', (_, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_BAD_VALUE' }) as Error)
  })

  test('names the columns there are when one is not', async () => {
    await expect(pass('1,a\n', TYPES, dedupe('no'))).rejects.toMatchObject({
      code: 'CONFIG_UNKNOWN_COLUMN',
    })
  })
})

describe('keys of a type', () => {
  test.each([
    ['int4', ['7', '07', '+7', ' 7 ', '-0', '0', '-7'], [0, 0, 0, 0, 4, 4, 6]],
    ['numeric', ['1.5', '1.50', '15e-1', '+01.5', '.15e1', '1.51'], [0, 0, 0, 0, 0, 5]],
    ['numeric', ['100', '1e2', '100.000', '0', '-0.00', 'NaN', 'nan'], [0, 0, 0, 3, 3, 5, 5]],
    [
      'numeric',
      ['0.001', '1e-3', '0.0010', '12345678901234567890123', '12345678901234567890124'],
      [0, 0, 0, 3, 4],
    ],
    ['float8', ['0.1', '0.10000000000000001', '1e1', '10', 'inf', 'Infinity'], [0, 0, 2, 2, 4, 4]],
    ['float4', ['16777217', '16777216', '0.1', '0.100000001'], [0, 0, 2, 2]],
    ['bool', ['t', 'true', 'f', 'no'], [0, 0, 2, 2]],
    ['text', ['1.5', '1.50', 'a', 'a '], [0, 1, 2, 3]],
    ['bpchar', ['a', 'a  ', ' a'], [0, 0, 2]],
    [
      'uuid',
      ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      [0, 0],
    ],
    [
      'timestamp',
      ['2024-01-02', '2024-01-02 00:00', '2024-01-02T00:00:00.0', '2024-01-02 00:00:01'],
      [0, 0, 0, 3],
    ],
    [
      'timestamptz',
      ['2024-01-02 12:00:00Z', '2024-01-02 13:00:00+01', '2024-01-02 12:00:00+01'],
      [0, 0, 2],
    ],
  ])('are the same where PostgreSQL has the values equal: %s', async (type, texts, expected) => {
    const csv = texts.map((text, i) => `${String(i)},${text}\n`).join('')
    const { rows } = await pass(csv, { n: 'text', k: type }, dedupe('k'))
    expect(rows.map(([n]) => Number(n))).toEqual([...new Set(expected)])
  })

  test('that stages give are compared as the type they are named', async () => {
    const made = derive({
      m: { type: 'numeric(9,2)', value: (row: Row) => (row['n'] === '1' ? 1.5 : '1.50') },
    })
    expect(await kept('1,a\n2,b\n', TYPES, made, dedupe<Row & { m: string }>('m'))).toEqual(['1'])
    expect(keyFormOf('double precision').of('1e1')).toBe('10')
  })
})
