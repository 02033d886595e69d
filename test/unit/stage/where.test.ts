import { describe, expect, test } from 'vitest'
import { where } from '../../../src/stage/where.ts'
import { pass } from '../../helpers/stages.ts'

/** Which of the values a condition keeps. */
async function kept(type: string, condition: string, ...values: string[]): Promise<string[]> {
  const lines = values.map((value, i) => `${String(i)},"${value.replaceAll('"', '""')}"\n`)
  const { rows, failures } = await pass(lines.join(''), { id: 'int4', v: type }, where(condition))
  if (failures[0] !== undefined) throw new Error(failures[0].reason)
  return rows.map(([id]) => values[Number(id)]!)
}

describe('where', () => {
  test.each([
    ['int4', 'v >= 10', ['9', '10', '11', '-10'], ['10', '11']],
    [
      'int8',
      'v > 9007199254740992',
      ['9007199254740992', '9007199254740993'],
      ['9007199254740993'],
    ],
    ['int8', 'v != 5', ['5', '6'], ['6']],
    ['float8', 'v < 1e-3', ['0.0009', '0.001', '-Infinity'], ['0.0009', '-Infinity']],
    ['numeric', 'v = 1.50', ['1.5', '1.500', '1.51'], ['1.5', '1.500']],
    [
      'numeric',
      'v > 0.12345678901234567890',
      ['0.12345678901234567890', '0.12345678901234567891', '1'],
      ['0.12345678901234567891', '1'],
    ],
    [
      'numeric',
      'v <= 123456789012345678901',
      ['123456789012345678901', '123456789012345678902'],
      ['123456789012345678901'],
    ],
    ['bool', 'v = true', ['t', 'f', 'yes'], ['t', 'yes']],
    [
      'date',
      'v < 2024-03-01',
      ['2024-02-29', '2024-03-01', '1999-12-31'],
      ['2024-02-29', '1999-12-31'],
    ],
    [
      'timestamp',
      'v >= 2024-01-01 12:30',
      ['2024-01-01 12:29:59.9', '2024-01-01T12:30:00', '2024-01-01 12:30:00.000001'],
      ['2024-01-01T12:30:00', '2024-01-01 12:30:00.000001'],
    ],
    [
      'timestamptz',
      "v = '2024-01-01 12:00:00+02'",
      ['2024-01-01 10:00:00Z', '2024-01-01 12:00:00Z', '2024-01-01 11:00:00.000000+0100'],
      ['2024-01-01 10:00:00Z', '2024-01-01 11:00:00.000000+0100'],
    ],
    ['text', "v = 'it''s'", ["it's", 'its'], ["it's"]],
    ['text', 'v > b', ['a', 'b', 'ba', 'c'], ['ba', 'c']],
    ['text', "v != ''", ['', 'x'], ['x']],
  ])('on %s: %s', async (type, condition, values, expected) => {
    expect(await kept(type, condition, ...values)).toEqual(expected)
  })

  test('never holds for NULL but when asked for it', async () => {
    const csv = '1,\n2,5\n'
    const types = { id: 'int4', v: 'int4' }
    const ids = async (condition: string): Promise<unknown[]> =>
      (await pass(csv, types, where(condition))).rows.map(([id]) => id)
    expect(await ids('v != 5')).toEqual([])
    expect(await ids('v = 5')).toEqual([2])
    expect(await ids('v is null')).toEqual([1])
    expect(await ids('"v" IS NOT NULL')).toEqual([2])
  })

  test.each(['v', 'v >', 'v ~ 3', '> 3', 'v is nothing', "v = 'a' or 1"])(
    'refuses %j as a condition',
    async (condition) => {
      await expect(kept('text', condition, 'a')).rejects.toMatchObject({ code: 'CONFIG_BAD_VALUE' })
    },
  )

  test('refuses a value that is none of the type', async () => {
    await expect(kept('int4', 'v > many', '1')).rejects.toMatchObject({ code: 'CONFIG_BAD_VALUE' })
    await expect(kept('date', 'v > 1/2/24', '1')).rejects.toMatchObject({
      code: 'CONFIG_BAD_VALUE',
    })
  })

  test('gives a row up whose place in the order is not certain', async () => {
    const csv = '1,29/02/2024\n2,2024-02-29\n'
    const passed = await pass(csv, { id: 'int4', v: 'date' }, where('v > 2000-01-01'))
    expect(passed.rows.map(([id]) => id)).toEqual([2])
    expect(passed.failures).toMatchObject([{ record: 0, code: 'STAGE_CAST', columns: ['v'] }])
  })
})
