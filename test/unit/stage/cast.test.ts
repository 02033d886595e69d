import { describe, expect, test } from 'vitest'
import type { Result } from '../../../src/chunk/value.ts'
import { type Cast, cast } from '../../../src/stage/cast.ts'
import { stageOf } from '../../../src/stage/wire.ts'
import { pass } from '../../helpers/stages.ts'

/** What each text becomes; undefined for one that fails. */
async function read(rule: Cast, ...texts: string[]): Promise<Result[]> {
  const lines = texts.map((text, i) => `${String(i)},"${text.replaceAll('"', '""')}"\n`)
  const passed = await pass(lines.join(''), { id: 'int4', v: 'text' }, cast({ v: rule }))
  const found: Result[] = texts.map(() => undefined)
  for (const [id, value] of passed.rows) found[Number(id)] = value
  for (const { code, columns } of passed.failures) {
    expect([code, columns]).toEqual(['STAGE_CAST', ['v']])
  }
  return found
}

describe('cast', () => {
  test.each<[Cast, string[], Result[]]>([
    [{ trim: true }, [' a b\t'], ['a b']],
    [{ nullIf: 'N/A' }, ['N/A', 'n/a', ''], [null, 'n/a', '']],
    [{ trim: true, nullIf: ['', '-'] }, ['  ', ' - ', 'x'], [null, null, 'x']],
    [
      { type: 'date', format: 'dd/MM/yyyy' },
      ['29/02/2024', '29/02/2023', '1/2/2024', '01/02/24'],
      ['2024-02-29', undefined, undefined, undefined],
    ],
    [
      { type: 'date', format: 'M/d/yy' },
      ['1/2/24', '12/31/68', '01/02/69', '13/1/20'],
      ['2024-01-02', '2068-12-31', '1969-01-02', undefined],
    ],
    [
      { type: 'date', format: 'd MMM yyyy' },
      ['3 Mar 2020', '03 DEC 2020', '3 Mär 2020'],
      ['2020-03-03', '2020-12-03', undefined],
    ],
    [
      { type: 'timestamp', format: 'yyyyMMddHHmmss' },
      ['20240229235959', '20240229245959'],
      ['2024-02-29 23:59:59', undefined],
    ],
    [
      { type: 'timestamp', format: "yyyy-MM-dd'T'HH:mm:ss.SSS" },
      ['2024-01-02T03:04:05.6'],
      ['2024-01-02 03:04:05.6'],
    ],
    [
      { type: 'timestamp', format: 'M/d/yyyy h:mm a' },
      ['1/2/2024 12:05 AM', '1/2/2024 12:05 pm', '1/2/2024 1:05 PM', '1/2/2024 13:05 PM'],
      ['2024-01-02 00:05:00', '2024-01-02 12:05:00', '2024-01-02 13:05:00', undefined],
    ],
    [
      { type: 'date', format: 'dd.MM.yyyy' },
      ['01.02.2024', '01x02x2024'],
      ['2024-02-01', undefined],
    ],
    [
      { type: 'numeric', decimal: ',' },
      ['1,50', '-3', '1.50', '1,5,0', ''],
      ['1.50', '-3', undefined, undefined, undefined],
    ],
    [
      { type: 'numeric(12,2)', decimal: ',', group: '.' },
      ['1.234.567,89', '12.34', '999', '-1.000'],
      ['1234567.89', undefined, '999', '-1000'],
    ],
    [
      { type: 'int4', group: ',' },
      ['1,234', '1,5', '1,234.5', '3,000,000,000'],
      ['1234', undefined, undefined, undefined],
    ],
    [
      { type: 'bool', true: ['ja', 'Y'], false: ['nein', ''] },
      ['JA', 'y', 'Nein', '', 'x'],
      [true, true, false, false, undefined],
    ],
    [{ type: 'int2' }, ['7', '70000', 'x'], ['7', undefined, undefined]],
    [{ type: 'point' }, ['(1,2)'], ['(1,2)']],
  ])('by %j', async (rule, texts, expected) => {
    expect(await read(rule, ...texts)).toEqual(expected)
  })

  test('reads the text of the input, whatever the type of its column', async () => {
    const stage = cast({
      n: { type: 'int4', group: '.' },
      at: { type: 'date', format: 'dd.MM.yy' },
    })
    const { rows, types } = await pass('1.234,01.02.24\n,\n', { n: 'int4', at: 'date' }, stage)
    expect(rows).toEqual([
      ['1234', '2024-02-01'],
      [null, null],
    ])
    expect(types).toEqual(['int4', 'date'])
  })

  test.each([
    [{ v: { format: 'yyyy-MM' } }, 'it has no day'],
    [{ v: { format: 'dd/MM/yyyy QQ' } }, '"QQ" has no meaning'],
    [{ v: { format: 'dd/dd/MM/yyyy' } }, 'twice'],
    [{ v: { decimal: ',', group: ',' } }, 'not the same'],
    [{ v: { type: 'point', decimal: ',' } }, 'type of numbers'],
  ])('refuses a rule that cannot be used: %j', (rules, message) => {
    expect(() => cast(rules)).toThrow(message)
  })

  test('is the same when it is made again in another thread', async () => {
    const stage = cast({ v: { type: 'numeric', decimal: ',' } })
    const again = stageOf(structuredClone(stage.wire!))
    expect((await pass('"1,5"\n', { v: 'text' }, again)).rows).toEqual([['1.5']])
  })
})
