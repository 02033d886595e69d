import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decimalText } from '../../../src/stage/decimal.ts'
import { quality } from '../../../src/stage/quality.ts'
import { ExactSum } from '../../../src/stage/quality/exact-sum.ts'
import type { Finding } from '../../../src/stage/quality/finding.ts'
import { compareOrdered, orderedOf } from '../../../src/stage/quality/ordered.ts'
import type { QualityRules } from '../../../src/stage/quality/rules.ts'
import { stageOf } from '../../../src/stage/wire.ts'
import { pass, passAll } from '../../helpers/stages.ts'

const NOW = new Date('2024-06-01T12:00:00Z')
const TYPES = { id: 'int4', fare: 'numeric', at: 'timestamp', zoned: 'timestamptz', word: 'text' }

/** Judges rules over chunks of rows, each chunk a range of its own. */
async function judge(chunks: readonly string[], rules: QualityRules): Promise<readonly Finding[]> {
  const stage = quality(rules)
  const passed = await passAll(chunks, TYPES, stage)
  const measure = stage.measure!
  // As they come back from the checkpoint.
  const facts = passed.map(({ facts: [one] }) => JSON.parse(JSON.stringify(one)) as unknown)
  passed.forEach(({ rows }, i) => {
    expect(rows).toHaveLength(chunks[i]!.split('\n').length - 1)
  })
  const sum = facts.reduce<unknown>((a, b) => (a === null ? b : measure.merge(a, b)), null)
  return measure.judge(sum, NOW)
}

/** The rules that are broken. */
async function broken(chunks: readonly string[], rules: QualityRules): Promise<string[]> {
  return (await judge(chunks, rules)).filter(({ passed }) => !passed).map(({ rule }) => rule)
}

const FIRST = '1,10.25,2024-06-01 10:00:00,2024-06-01 10:00:00Z,a\n2,,2024-05-01,,b\n'
const SECOND = '3,-0.25,,2024-06-01 13:30:00+02,a\n3,5,,2024-05-31 00:00Z,\n'

describe('quality', () => {
  test('passes all rows, and judges them over all chunks', async () => {
    expect(
      await judge([FIRST, SECOND], {
        rows: { min: 4, max: 4 },
        nulls: { fare: 0.25 },
        sum: { fare: { min: 15, max: '15.00' }, id: { max: 8 } },
        min: { fare: -0.25 },
        max: { fare: 10 },
        unique: ['id', ['id', 'word']],
        fresh: { at: '24h', zoned: '20m' },
      }),
    ).toEqual([
      { rule: 'rows', expected: 'at least 4 and at most 4', got: '4', passed: true },
      { rule: 'nulls(fare)', expected: 'at most 25 %', got: '25 %, 1 of 4 rows', passed: true },
      { rule: 'sum(fare)', expected: 'at least 15 and at most 15.00', got: '15', passed: true },
      { rule: 'sum(id)', expected: 'at most 8', got: '9', passed: false },
      { rule: 'min(fare)', expected: 'at least -0.25', got: 'no value beyond', passed: true },
      { rule: 'max(fare)', expected: 'at most 10', got: 'a value above', passed: false },
      { rule: 'unique(id)', expected: 'no duplicate', got: '1 duplicate', passed: false },
      { rule: 'unique(id, word)', expected: 'no duplicate', got: 'no duplicate', passed: true },
      { rule: 'fresh(at)', expected: 'not older than 24h', got: 'newer', passed: true },
      { rule: 'fresh(zoned)', expected: 'not older than 20m', got: 'older', passed: false },
    ])
  })

  test('never tells a value of a row', async () => {
    const rules = { min: { fare: 1000 }, max: { at: '2000-01-01' }, fresh: { at: '1s' } }
    const told = JSON.stringify(await judge([FIRST, SECOND], rules))
    expect(told).not.toMatch(/0\.25|2024/)
  })

  test('has something to say about no rows at all', async () => {
    const { measure } = quality({
      rows: { min: 1 },
      nulls: { a: 0 },
      sum: { a: { min: 0 } },
      min: { a: 0 },
      unique: ['a'],
      fresh: { b: '1d' },
    })
    const findings = measure!.judge(null, NOW)
    expect(findings.filter(({ passed }) => !passed).map(({ rule }) => rule)).toEqual([
      'rows',
      'fresh(b)',
    ])
  })

  test.each([
    ['times', { min: { at: '2024-05-01' }, max: { zoned: '2024-06-01 13:30+02' } }, []],
    [
      'times beyond',
      { min: { at: '2024-05-02' }, max: { zoned: '2024-06-01 13:29+02' } },
      ['min(at)', 'max(zoned)'],
    ],
    [
      'large numbers as text',
      { max: { fare: '10.25' }, sum: { fare: { max: '14.99999999999999999999' } } },
      ['sum(fare)'],
    ],
    ['ages', { fresh: { at: '2h', zoned: '30.5m' } }, []],
    ['no NULL', { nulls: { fare: 0, id: 0 } }, ['nulls(fare)']],
  ] satisfies [string, QualityRules, string[]][])('compares %s', async (_, rules, expected) => {
    expect(await broken([FIRST, SECOND], rules)).toEqual(expected)
  })

  test('gives a row up whose value is none of the type', async () => {
    const { failures } = await pass('1,x,,,\n', TYPES, quality({ min: { fare: 0 } }))
    expect(failures).toMatchObject([{ code: 'STAGE_CAST', columns: ['fare'] }])
  })

  test('knows NaN and infinity as PostgreSQL orders them, and no sum of theirs is within bounds', async () => {
    const rules = { max: { fare: 1 }, min: { fare: 0 }, sum: { fare: { min: 0 } } }
    expect(await broken(['1,NaN,,,\n2,0.5,,,\n'], rules)).toEqual(['sum(fare)', 'max(fare)'])
    expect(await broken(['1,-Infinity,,,\n'], rules)).toEqual(['sum(fare)', 'min(fare)'])
  })

  test('is the same stage with other bounds, and another with other columns', () => {
    const { identity } = quality({ min: { fare: 0 }, unique: ['id'] })
    expect(quality({ min: { fare: 5 }, unique: ['id'] }, { onFailure: 'warn' }).identity).toEqual(
      identity,
    )
    expect(quality({ min: { id: 0 }, unique: ['id'] }).identity).not.toEqual(identity)
    expect(quality({ max: { fare: 0 }, unique: ['id'] }).identity).not.toEqual(identity)
  })

  test('is made again of plain data', () => {
    const stage = quality(
      { sum: { fare: { min: 10n } }, unique: [['a', 'b']] },
      { onFailure: 'warn' },
    )
    const again = stageOf(structuredClone(stage.wire) as never)
    expect(again.identity).toEqual(stage.identity)
    expect(again.measure!.onFailure).toBe('warn')
    expect(again.keySets).toEqual(stage.keySets)
  })

  test.each([
    ['no rule', {}, {}],
    ['a share over 1', { nulls: { fare: 2 } }, {}],
    ['a duration of no unit', { fresh: { at: '24' } }, {}],
    ['an empty key', { unique: [[]] }, {}],
    ['an unknown end', { rows: { min: 1 } }, { onFailure: 'maybe' }],
    ['too little memory', { rows: { min: 1 } }, { maxMemory: 1 }],
  ] as [string, QualityRules, object][])('is refused with %s', (_, rules, options) => {
    expect(() => quality(rules, options)).toThrow(
      expect.objectContaining({ code: 'CONFIG_BAD_VALUE' }) as Error,
    )
  })

  test.each([
    ['a column that is not there', { nulls: { no: 0 } }, 'CONFIG_UNKNOWN_COLUMN'],
    ['a key that is not there', { unique: ['no'] }, 'CONFIG_UNKNOWN_COLUMN'],
    ['the least text', { min: { word: 'a' } }, 'CONFIG_BAD_VALUE'],
    ['a sum of times', { sum: { at: { min: 1 } } }, 'CONFIG_BAD_VALUE'],
    ['the age of numbers', { fresh: { id: '1h' } }, 'CONFIG_BAD_VALUE'],
    ['a bound that is no value', { max: { fare: 'much' } }, 'CONFIG_BAD_VALUE'],
    ['a bound that is no time', { max: { at: '5' } }, 'CONFIG_BAD_VALUE'],
    ['a sum within words', { sum: { fare: { min: 'much' } } }, 'CONFIG_BAD_VALUE'],
  ] as [string, QualityRules, string][])('is refused for %s', async (_, rules, code) => {
    await expect(pass(FIRST, TYPES, quality(rules))).rejects.toMatchObject({ code })
  })
})

describe('figures', () => {
  const decimal = fc
    .tuple(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), fc.nat(22), fc.boolean())
    .map(([digits, scale, isShort]) => {
      const few = isShort ? digits % 10n ** 9n : digits
      return decimalText({ digits: few, scale: isShort ? scale % 5 : scale })
    })

  test('of sums are exact, whatever the digits', () => {
    fc.assert(
      fc.property(fc.array(decimal, { maxLength: 50 }), (values) => {
        const sum = new ExactSum()
        for (const value of values) expect(sum.addText(value)).toBe(true)
        const scale = 30
        const expected = values.reduce((total, value) => {
          const [whole = '', fraction = ''] = value.replace('-', '').split('.')
          const digits = BigInt(whole + fraction.padEnd(scale, '0'))
          return total + (value.startsWith('-') ? -digits : digits)
        }, 0n)
        expect(decimalText(sum.total)).toBe(decimalText({ digits: expected, scale }))
      }),
    )
  })

  test('of sums stay exact beyond what doubles hold', () => {
    const sum = new ExactSum()
    for (let i = 0; i < 20; i++) sum.addInteger(Number.MAX_SAFE_INTEGER)
    for (let i = 0; i < 20; i++) sum.addText('99999999999999.9')
    expect(decimalText(sum.total)).toBe(
      String(20n * BigInt(Number.MAX_SAFE_INTEGER) + 1999999999999998n),
    )
    for (const text of ['', '.', '-', '1.2.3', '1a', '--1'])
      expect(sum.addText(text), text).toBe(false)
  })

  test('of numbers are in the order of their values', () => {
    fc.assert(
      fc.property(decimal, decimal, fc.boolean(), (a, b, doubled) => {
        const [left, right] = [orderedOf(a, 'number')!, orderedOf(doubled ? a : b, 'number')!]
        const [x, y] = [a, doubled ? a : b].map((text) => {
          const [whole = '', fraction = ''] = text.replace('-', '').split('.')
          return BigInt(whole + fraction.padEnd(30, '0')) * (text.startsWith('-') ? -1n : 1n)
        }) as [bigint, bigint]
        expect(Math.sign(compareOrdered(left, right, 'number'))).toBe(x < y ? -1 : x > y ? 1 : 0)
      }),
    )
  })
})
