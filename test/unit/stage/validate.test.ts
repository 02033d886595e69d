import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { hash } from '../../../src/stage/hash.ts'
import { mask } from '../../../src/stage/mask.ts'
import { compilePattern } from '../../../src/stage/pattern.ts'
import { type Rules, validate } from '../../../src/stage/validate.ts'
import { stageOf } from '../../../src/stage/wire.ts'
import { pass } from '../../helpers/stages.ts'

/** What is wrong with each value of a column, null for nothing. */
async function reasons(
  type: string,
  rules: Rules,
  ...values: (string | null)[]
): Promise<(string | null)[]> {
  const lines = values.map((value) =>
    value === null ? 'x,\n' : `x,"${value.replaceAll('"', '""')}"\n`,
  )
  const { failures } = await pass(lines.join(''), { x: 'text', v: type }, validate({ v: rules }))
  const found: (string | null)[] = values.map(() => null)
  for (const { record, reason, columns, code } of failures) {
    expect([code, columns]).toEqual(['STAGE_INVALID', ['v']])
    found[record] = reason
  }
  return found
}

describe('validate', () => {
  test.each<[string, Rules, (string | null)[], (string | null)[]]>([
    ['int4', { required: true }, ['1', null], [null, 'is NULL, and required']],
    [
      'int4',
      { min: 2, max: 3 },
      ['1', '2', '3', '4', null],
      ['is less than 2', null, null, 'is more than 3', null],
    ],
    ['numeric', { min: '0.10' }, ['0.1', '0.09999999999999999999'], [null, 'is less than 0.10']],
    [
      'date',
      { max: '2024-01-31' },
      ['2024-01-31', '2024-02-01'],
      [null, 'is more than 2024-01-31'],
    ],
    [
      'text',
      { length: 2 },
      ['ab', 'abc', '\u{1F600}\u{1F600}'],
      [null, 'has 3 characters, expected 2 to 2', null],
    ],
    [
      'text',
      { length: [1, 3] },
      ['', 'abc', '\u{1F600}\u{1F600}\u{1F600}\u{1F600}'],
      ['has 0 characters, expected 1 to 3', null, 'has 4 characters, expected 1 to 3'],
    ],
    [
      'text',
      { pattern: /^[A-Z]+$/ },
      ['AB', 'aB', null],
      [null, 'does not match the pattern', null],
    ],
    ['text', { pattern: '(ab)+c?$' }, ['xababc', 'abd'], [null, 'does not match the pattern']],
    ['text', { in: ['a', 'b'] }, ['a', 'c'], [null, 'is none of the values allowed']],
    ['int4', { in: [1, 2] }, ['1', '3'], [null, 'is none of the values allowed']],
    [
      'text',
      { type: 'int2' },
      ['32767', '32768', '1.0', ''],
      [null, 'is no int2', 'is no int2', 'is no int2'],
    ],
    [
      'text',
      { type: 'date' },
      ['2024-02-29', '2023-02-29', '29/02/2024'],
      [null, 'is no date', 'is no date'],
    ],
    [
      'text',
      { type: 'timestamptz' },
      ['2024-02-29T01:02:03+01', '2024-02-29 01:02'],
      [null, 'is no timestamptz'],
    ],
    ['text', { type: 'uuid' }, ['0b3e4c1a-9f52-4c7b-8a5e-2d7f6a1b9c3d', 'x'], [null, 'is no uuid']],
    ['text', { type: 'json' }, ['{"a":1}', '{a:1}'], [null, 'is no json']],
    ['int4', { min: 0 }, ['many'], ['its text of 4 bytes is none']],
  ])('of %s by %j', async (type, rules, values, expected) => {
    expect(await reasons(type, rules, ...values)).toEqual(expected)
  })

  test('tells the first rule that a row breaks, and lets the others pass untouched', async () => {
    const rules = validate({ a: { required: true, max: 5 }, b: { length: 1 } })
    const passed = await pass('1,x\n9,xyz\n,\n2,yy\n', { a: 'int4', b: 'text' }, rules)
    expect(passed.rows).toEqual([[1, 'x']])
    const found = passed.failures.toSorted((a, b) => a.record - b.record)
    expect(found.map(({ record, columns }) => [record, columns])).toEqual([
      [1, ['a']],
      [2, ['a']],
      [3, ['b']],
    ])
    expect(passed.stats).toMatchObject([{ in: 4, out: 1, failed: 3, filtered: 0 }])
  })

  test.each([
    [{ v: { min: 'few' } }],
    [{ v: { type: 'point' } }],
    [{ v: { pattern: '(' } }],
    [{ v: { pattern: '(a)\\1' } }],
    [{ v: { pattern: '(?=a)b' } }],
    [{ w: { required: true } }],
  ] as Record<string, Rules>[][])('refuses rules that cannot be used: %j', async (rules) => {
    await expect(pass('1\n', { v: 'int4' }, validate(rules))).rejects.toMatchObject({
      name: 'ConfigError',
    })
  })

  test('takes the schema of another library, and shows no value in its reasons', async () => {
    const schema = z.object({ id: z.number().max(5), mail: z.string().includes('@') })
    const passed = await pass(
      '1,a@b\n2,secret\n7,c@d\n',
      { id: 'int4', mail: 'text' },
      validate(schema),
    )
    expect(passed.rows).toEqual([[1, 'a@b']])
    expect(passed.failures).toMatchObject([
      { record: 1, code: 'STAGE_INVALID', columns: ['mail'] },
      { record: 2, code: 'STAGE_INVALID', columns: ['id'] },
    ])
    expect(passed.failures.map(({ reason }) => reason).join()).not.toContain('secret')
  })
})

describe('a pattern', () => {
  test('finds what RegExp finds, by either engine', async () => {
    const sources = [
      '^a+b?$',
      '^[^a]*b{2}$',
      'a|b',
      '(a|b)*c',
      '^\\w{2,3}$',
      'a.c',
      '^.$',
      '[^\\d]b',
      '',
    ]
    const pattern = fc.constantFrom(...sources)
    const flags = fc.constantFrom('', 'i', 's', 'm')
    const text = fc.string({ unit: fc.constantFrom(...'aAbBc1\n é'), maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(pattern, flags, text, async (source, flag, input) => {
        const found = await compilePattern({ source, flags: flag })
        expect(found(input)).toBe(new RegExp(source, flag).test(input))
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    '(a+)+$',
    '^(a|a)*$',
    '(.*)*x$',
    'a*a*a*a*a*a*b',
    '^(a?){30}a{30}$',
    '^a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?b$',
  ])('that can backtrack without end does not: %s', async (source) => {
    const found = await compilePattern({ source, flags: '' })
    const began = process.cpuUsage().user
    expect(found(`${'a'.repeat(2000)}!`)).toBe(false)
    // An engine that backtracks needs centuries; the bound is not a measurement.
    expect(process.cpuUsage().user - began).toBeLessThan(20e6)
  })
})

describe('hash', () => {
  test('is the documented one', async () => {
    const csv = '1,Zoë\n2,\n3,""\n'
    const types = { id: 'int4', name: 'text' }
    const { rows, columns } = await pass(csv, types, hash('h', ['name', 'id']))
    const field = (text: string | null): Buffer => {
      if (text === null) return Buffer.of(0)
      const bytes = Buffer.from(text)
      return Buffer.concat([Buffer.of(1, 0, 0, 0, bytes.length), bytes])
    }
    const expected = [
      ['Zoë', '1'],
      [null, '2'],
      ['', '3'],
    ].map((values) =>
      createHash('sha256')
        .update(Buffer.concat(values.map(field)))
        .digest('hex'),
    )
    expect(columns).toEqual(['id', 'name', 'h'])
    expect(rows.map((row) => row[2])).toEqual(expected)
    expect(new Set(expected).size).toBe(3)
  })

  test('tells columns apart whose texts run into one another', async () => {
    const { rows } = await pass('ab,c\na,bc\n', { a: 'text', b: 'text' }, hash('h', ['a', 'b']))
    expect(rows[0]![2]).not.toBe(rows[1]![2])
  })
})

describe('mask', () => {
  const key = 'a key that is long enough'

  test('hides values, NULL stays NULL', async () => {
    const types = { mail: 'text', phone: 'int8', name: 'text' }
    const stage = mask({ mail: 'redact', phone: { hash: key }, name: { keep: 1 } })
    const { rows, types: after } = await pass('a@b,49301234567,\u{1F600}oe\n,,\n', types, stage)
    const hashed = createHmac('sha256', key).update('49301234567').digest('hex')
    expect(rows).toEqual([
      ['***', hashed, '\u{1F600}'],
      [null, null, null],
    ])
    expect(after).toEqual(['text', 'text', 'text'])
  })

  test('refuses a key that can be guessed', () => {
    expect(() => mask({ a: { hash: 'short' } })).toThrow('a key of 5 bytes, expected at least 16')
    expect(() => mask({ a: { keep: -1 } })).toThrow('no number of characters')
  })
})

describe('a stage of plain data', () => {
  test('is known by all that it checks', () => {
    const stages = [
      validate({ id: { pattern: 'a' } }),
      validate({ id: { pattern: 'b' } }),
      validate({ id: { pattern: /a/i } }),
      validate({ id: { min: 1 } }),
      validate({ id: { min: 1n } }),
      validate({ id: { min: 1, required: true } }),
      validate({ name: { min: 1 } }),
    ]
    const identities = stages.map(({ identity }) => JSON.stringify(identity))
    expect(new Set(identities).size).toBe(stages.length)
  })

  test.each([
    validate({ id: { min: 2, pattern: /^[23]$/, in: [2, 3] } }),
    mask({ name: { keep: 2 } }),
    hash('h', ['id', 'name']),
  ])('is the same when it is made again in another thread: $name', async (stage) => {
    const again = stageOf(structuredClone(stage.wire!))
    expect(JSON.stringify(again.identity)).toBe(JSON.stringify(stage.identity))
    const types = { id: 'int4', name: 'text' }
    const run = async (one: typeof again): Promise<unknown> => {
      const { rows, failures } = await pass('1,abc\n2,de\n', types, one)
      return { rows, failures }
    }
    expect(await run(again)).toEqual(await run(stage as typeof again))
  })
})
