import { describe, expect, test } from 'vitest'
import { type InferredType, inferTypes, sqlType, widen } from '../../../src/copy/infer-types.ts'
import { defaultDialect } from '../../../src/source/csv/dialect.ts'
import { fastEngine } from '../../../src/source/csv/fast-engine.ts'

/** The type of a column of these fields, as they stand in the CSV. */
function typeOf(...values: string[]): InferredType {
  const engine = fastEngine({ ...defaultDialect, lineEnd: 'lf' })
  const text = values.map((field) => `${field},x\n`).join('')
  const { fields, bad } = engine.index(Buffer.from(text), 2, values.length)
  expect(bad).toEqual([])
  return inferTypes(fields)[0]!.type
}

describe('a column of', () => {
  test.each<[InferredType, string[]]>([
    ['integer', ['0', '7', '-1', '2147483647', '"12"']],
    ['bigint', ['1', '2147483648']],
    ['bigint', ['9999999999']],
    ['bigint', ['-9999999999', '999999999999999999']],
    ['numeric', ['1', '1000000000000000000']],
    ['numeric', ['9223372036854775808']],
    ['numeric', ['1.0', '-0.5', '3']],
    ['numeric', ['99999999999', '0.1']],
    ['date', ['2020-02-29', '1999-12-31']],
    ['timestamp', ['2020-02-29 12:00:00', '2020-02-29T12:00:00.5']],
    ['timestamp', ['2020-02-29', '2020-02-29 12:00:00']],
    ['timestamptz', ['2020-02-29 12:00:00Z', '2020-02-29T12:00:00+05:30']],
    ['boolean', ['t', 'f', 'true', 'false']],
    ['uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000']],
    ['uuid', ['12345678-9c0b-4ef8-bb6d-6bb9bd380a11']],
  ])('%s is inferred from %j', (type, fields) => {
    expect(typeOf(...fields)).toBe(type)
    expect(typeOf('', ...fields, '')).toBe(type)
    expect(typeOf(...[...fields].reverse())).toBe(type)
  })

  test.each([
    [['007']],
    [['-01']],
    [['00']],
    [['00.5']],
    [['+1']],
    [[' 1']],
    [['1 ']],
    [['"1,000"']],
    [['1_000']],
    [['.5']],
    [['5.']],
    [['1e5']],
    [['0x10']],
    [['NaN']],
    [['-']],
    [['1', '""']],
    [['TRUE']],
    [['yes']],
    [['2020-02-30']],
    [['2020-1-1']],
    [['01/02/2020']],
    [['2020-01-01 24:00:00']],
    [['12:00:00']],
    [['infinity']],
    [['"1""2"']],
    [['1"2"']],
    [['9'.repeat(1001)]],
    [['a0eebc999c0b4ef8bb6d6bb9bd380a11']],
    [['1', 'x']],
    [['1', 't']],
    [['t', '1']],
    [['1', '2020-01-01']],
    [['1.5', '2020-01-01']],
    [['2020-01-01', '2020-01-01 00:00:00Z']],
    [['2020-01-01 00:00:00', '2020-01-01 00:00:00Z']],
    [['t', '2020-01-01']],
    [['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1']],
  ])('%j is text', (fields) => {
    expect(typeOf(...fields)).toBe('text')
  })

  test('NULLs alone has no type yet and becomes text', () => {
    expect(typeOf('', '', '')).toBe('none')
    expect(sqlType('none')).toBe('text')
  })

  test('anything counts its NULLs, and an empty quoted field is none', () => {
    const engine = fastEngine({ ...defaultDialect, lineEnd: 'lf' })
    const { fields } = engine.index(Buffer.from(',1\n"",\n,3\n'), 2, 3)
    expect(inferTypes(fields)).toEqual([
      { type: 'text', nulls: 2 },
      { type: 'integer', nulls: 1 },
    ])
  })
})

describe('what holds the values of two types', () => {
  const types: InferredType[] = [
    ...(['none', 'boolean', 'integer', 'bigint', 'numeric'] as const),
    ...(['date', 'timestamp', 'timestamptz', 'uuid', 'text'] as const),
  ]

  test('does not depend on their order, nor on how three are taken together', () => {
    for (const a of types) {
      for (const b of types) {
        expect(widen(a, b), `${a} ${b}`).toBe(widen(b, a))
        for (const c of types) {
          expect(widen(widen(a, b), c), `${a} ${b} ${c}`).toBe(widen(a, widen(b, c)))
        }
      }
    }
  })

  test('is the wider of two numbers or two times, and else text', () => {
    expect(widen('integer', 'bigint')).toBe('bigint')
    expect(widen('numeric', 'integer')).toBe('numeric')
    expect(widen('date', 'timestamp')).toBe('timestamp')
    expect(widen('timestamp', 'timestamptz')).toBe('text')
    expect(widen('none', 'uuid')).toBe('uuid')
    expect(widen('boolean', 'integer')).toBe('text')
  })
})
