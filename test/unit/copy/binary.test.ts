import { describe, expect, test } from 'vitest'
import { encodeFloat4, encodeFloat8 } from '../../../src/copy/binary/floats.ts'
import { Block } from '../../../src/copy/rows.ts'
import {
  encodeBool,
  encodeInt2,
  encodeInt4,
  encodeInt8,
  NOT_CANONICAL,
} from '../../../src/copy/binary/integers.ts'
import { encodeNumeric } from '../../../src/copy/binary/numeric.ts'
import {
  encodeBytea,
  encodeChar,
  encodeJsonb,
  encodeName,
  encodeText,
  encodeUuid,
} from '../../../src/copy/binary/strings.ts'
import {
  encodeDate,
  encodeTime,
  encodeTimestamp,
  encodeTimestamptz,
} from '../../../src/copy/binary/times.ts'

type Encoder = (bytes: Buffer, from: number, to: number, out: Block, at: number) => number

/** The field as hex, its length apart; null when the text is not canonical. The text stands amid others. */
function field(encode: Encoder, text: string): string | null {
  const value = Buffer.from(text)
  const bytes = Buffer.concat([Buffer.from('9-1.'), value, Buffer.from('0:5')])
  const block = new Block(Buffer.alloc(value.length * 2 + 64), 8)
  const out = block.buffer.fill(0xee)
  const end = encode(bytes, 4, 4 + value.length, block, 8)
  expect(out.toString('hex', 0, 8)).toBe('ee'.repeat(8))
  if (end === NOT_CANONICAL) return null
  const room = 8 + value.length * 2 + 20
  expect(end).toBeLessThanOrEqual(room)
  expect(out.toString('hex', room)).toBe('ee'.repeat(out.length - room))
  expect(out.readInt32BE(8)).toBe(end - 12)
  return out.toString('hex', 12, end)
}

function takes(encode: Encoder, values: Readonly<Record<string, string>>): void {
  for (const [text, hex] of Object.entries(values)) {
    expect(field(encode, text), text).toBe(hex.replaceAll(' ', ''))
  }
}

function leaves(encode: Encoder, texts: readonly string[]): void {
  for (const text of texts) expect(field(encode, text), text).toBeNull()
}

const noNumbers = ['', '-', '+1', ' 1', '1 ', '1_0', '0x1', '1,0', '--1', '1-', 'a', 'NaN', '١']

describe('integers', () => {
  test('are big-endian two’s complement', () => {
    takes(encodeInt2, { '0': '0000', '1': '0001', '-1': 'ffff', '32767': '7fff', '-32768': '8000' })
    takes(encodeInt4, {
      '0': '00000000',
      '-1': 'ffffffff',
      '2147483647': '7fffffff',
      '-2147483648': '80000000',
      '1000000000': '3b9aca00',
      '999999999': '3b9ac9ff',
    })
    takes(encodeInt8, {
      '0': '0000000000000000',
      '-1': 'ffffffffffffffff',
      '4294967296': '0000000100000000',
      '-4294967297': 'fffffffeffffffff',
      '9007199254740993': '0020000000000001',
      '-9007199254740993': 'ffdfffffffffffff',
      '9223372036854775807': '7fffffffffffffff',
      '-9223372036854775807': '8000000000000001',
    })
  })

  test('may have leading zeros and a minus before zero', () => {
    takes(encodeInt2, { '007': '0007', '-0': '0000' })
    takes(encodeInt4, { '000000000000001': '00000001', '-000000001': 'ffffffff', '-0': '00000000' })
    takes(encodeInt8, { '00000000000000000000042': '000000000000002a', '-0': '0000000000000000' })
  })

  test('that do not fit or are written otherwise are left to the server', () => {
    leaves(encodeInt2, [...noNumbers, '32768', '-32769', '1.0', '1e2'])
    leaves(encodeInt4, [...noNumbers, '2147483648', '-2147483649', '4294967296', '1.0', '1e2'])
    leaves(encodeInt8, [...noNumbers, '9223372036854775808', '99999999999999999999', '1e2'])
  })
})

describe('booleans', () => {
  test('are one byte, by the words that are certain', () => {
    for (const text of ['t', 'true', 'y', 'yes', 'on', '1']) takes(encodeBool, { [text]: '01' })
    for (const text of ['f', 'false', 'n', 'no', 'off', '0']) takes(encodeBool, { [text]: '00' })
    leaves(encodeBool, ['', 'T', 'True', ' t', 'tr', 'o', 'of', 'truee', '2', '01', 'yes '])
  })
})

describe('floats', () => {
  test('are IEEE 754, big-endian', () => {
    takes(encodeFloat8, {
      '0': '0000000000000000',
      '-0': '8000000000000000',
      '1': '3ff0000000000000',
      '-1.5': 'bff8000000000000',
      '0.1': '3fb999999999999a',
      '.5': '3fe0000000000000',
      '5.': '4014000000000000',
      '1e23': '44b52d02c7e14af6',
      '9007199254740993': '4340000000000000',
      '1.7976931348623157e308': '7fefffffffffffff',
      '4.9e-324': '0000000000000001',
      '2.2250738585072014E-308': '0010000000000000',
    })
    takes(encodeFloat4, {
      '0': '00000000',
      '-0': '80000000',
      '1': '3f800000',
      '0.1': '3dcccccd',
      '16777216': '4b800000',
      '3.4028234e38': '7f7fffff',
      '1.1754944e-38': '00800000',
    })
  })

  test('that could be rounded twice, overflow or are no plain number are left to the server', () => {
    leaves(encodeFloat4, [
      '16777217',
      '16777219',
      '3.4028235e38',
      '1e39',
      '-1e39',
      '1e-45',
      '1.1e-38',
    ])
    leaves(encodeFloat8, [...noNumbers, 'Infinity', '1e400', '1e-400', '1e', '1e+', '.', '1.2.3'])
    leaves(encodeFloat4, [...noNumbers, 'inf', '.', 'e5', '1e5.0'])
  })
})

describe('numeric', () => {
  // Number of groups, weight of the first, sign, scale, then groups of four decimal digits.
  test('is a head of four numbers and groups of four digits from the point outwards', () => {
    takes(encodeNumeric, {
      '0': '0000 0000 0000 0000',
      '0.00': '0000 0000 0000 0002',
      '-0.0': '0000 0000 0000 0001',
      '1': '0001 0000 0000 0000 0001',
      '-1': '0001 0000 4000 0000 0001',
      '12345': '0002 0001 0000 0000 0001 0929',
      '10000': '0001 0001 0000 0000 0001',
      '10000.5': '0003 0001 0000 0001 0001 0000 1388',
      '12.50': '0002 0000 0000 0002 000c 1388',
      '.5': '0001 ffff 0000 0001 1388',
      '5.': '0001 0000 0000 0000 0005',
      '0.0001': '0001 ffff 0000 0004 0001',
      '0.00001': '0001 fffe 0000 0005 03e8',
      '00000001.5': '0002 0000 0000 0001 0001 1388',
      '99999999.9999': '0003 0001 0000 0004 270f 270f 270f',
      '100000000': '0001 0002 0000 0000 0001',
      '-123456789.123456789': '0006 0002 4000 0009 0001 0929 1a85 04d2 162e 2328',
      '0.0000000012': '0001 fffd 0000 000a 04b0',
    })
  })

  test('keeps the scale of zeros and drops groups of zeros at both ends', () => {
    takes(encodeNumeric, {
      ['1' + '0'.repeat(40)]: '0001 000a 0000 0000 0001',
      ['0.' + '0'.repeat(40)]: '0000 0000 0000 0028',
      ['0'.repeat(40) + '7.' + '0'.repeat(9)]: '0001 0000 0000 0009 0007',
    })
  })

  test('with an exponent, a word or too many digits is left to the server', () => {
    leaves(encodeNumeric, [...noNumbers, '1e5', '.', '-.', 'Infinity', '1.2.3', '123456789.12x45'])
    leaves(encodeNumeric, ['1'.repeat(16001), `0.${'1'.repeat(16001)}`])
    expect(field(encodeNumeric, '1'.repeat(16000))).toHaveLength(16 + 4 * 4000)
  })
})

describe('dates and times', () => {
  test('a date is days from 2000-01-01', () => {
    takes(encodeDate, {
      '2000-01-01': '00000000',
      '2000-03-01': '0000003c',
      '1999-12-31': 'ffffffff',
      '1970-01-01': 'ffffd533',
      '2020-02-29': '00001cc4',
      '0001-01-01': 'fff4dbf9',
      '9999-12-31': '002c95d3',
    })
    leaves(encodeDate, ['2021-02-29', '1900-02-29', '2020-13-01', '2020-00-01', '2020-01-00'])
    leaves(encodeDate, ['0000-01-01', '2020-1-01', '20200101', '2020/01/01', '2020-01-01 ', ''])
    leaves(encodeDate, ['2020-01-01 BC', '12020-01-01', '2020-04-31', 'infinity', '2020-01-0a'])
  })

  test('a time is microseconds from midnight', () => {
    takes(encodeTime, {
      '00:00:00': '0000000000000000',
      '00:00:01.5': '000000000016e360',
      '23:59:59.999999': '000000141dd75fff',
      '12:34:56.000001': '0000000a8bda1c01',
    })
    leaves(encodeTime, ['24:00:00', '23:59:60', '12:60:00', '12:34', '1:02:03', '12:34:56.'])
    leaves(encodeTime, ['12:34:56.1234567', '12:34:56Z', '12:34:56 PM', '12:34:56,5', ''])
  })

  test('a timestamp is microseconds from 2000-01-01, the zone taken off', () => {
    takes(encodeTimestamp, {
      '2000-01-01 00:00:00': '0000000000000000',
      '2000-01-01T00:00:00.000001': '0000000000000001',
      '1999-12-31 23:59:59.999999': 'ffffffffffffffff',
      '2000-01-02': '000000141dd76000',
      '0001-01-01 00:00:00': 'ff1fe2ffc59c6000',
      '9999-12-31 23:59:59.999999': '0380e70b913b7fff',
    })
    takes(encodeTimestamptz, {
      '2000-01-01 00:00:00Z': '0000000000000000',
      '2000-01-01T01:00:00+01': '0000000000000000',
      '2000-01-01 00:00:00-00:30': '000000006b49d200',
      '2000-01-01 05:30:00.5+0530': '000000000007a120',
      '2000-01-01 00:00:00+14:59': 'fffffff370eceb00',
    })
    leaves(encodeTimestamp, ['2000-01-01 00:00', '2000-01-01 00:00:00Z', '2000-01-01t00:00:00'])
    leaves(encodeTimestamp, ['2000-01-01 24:00:00', '2000-01-01 ', '2000-01-01 00:00:00 BC', 'now'])
    leaves(encodeTimestamptz, ['2000-01-01 00:00:00', '2000-01-01', '2000-01-01 00:00:00z'])
    leaves(encodeTimestamptz, ['2000-01-01 00:00:00+1', '2000-01-01 00:00:00 +01'])
    leaves(encodeTimestamptz, ['2000-01-01 00:00:00+01:60', '2000-01-01 00:00:00+15:00'])
    leaves(encodeTimestamptz, ['2000-01-01 00:00:00 UTC', '2000-01-01 00:00:00+01:00:00'])
  })
})

describe('texts', () => {
  test('are their bytes', () => {
    takes(encodeText, { '': '', 'ä€': 'c3a4e282ac', ['x'.repeat(65)]: '78'.repeat(65) })
    takes(encodeJsonb, { '{}': '017b7d', '': '01' })
    takes(encodeChar, { a: '61', ' ': '20', '\\': '5c' })
    leaves(encodeChar, ['', 'ab', 'ä', '\\101'])
    takes(encodeName, { ['n'.repeat(63)]: '6e'.repeat(63) })
    leaves(encodeName, ['n'.repeat(64), 'ä'.repeat(32)])
  })

  test('bytea and uuid are the bytes that hexadecimal digits stand for', () => {
    takes(encodeBytea, { '\\x': '', '\\x00Ff': '00ff', ['\\x' + 'ab'.repeat(40)]: 'ab'.repeat(40) })
    leaves(encodeBytea, ['', '\\', '\\x0', '\\X00', '\\x0g', '\\x 00', 'abc', '\\000', 'x00'])
    const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
    takes(encodeUuid, { [uuid]: uuid.replaceAll('-', '') })
    takes(encodeUuid, { [uuid.toUpperCase()]: uuid.replaceAll('-', '') })
    leaves(encodeUuid, [uuid.replaceAll('-', ''), `{${uuid}}`, `${uuid}0`, uuid.slice(1), ''])
    leaves(encodeUuid, [
      uuid.replace('a', 'g'),
      uuid.replace('-', '0'),
      'a0eebc9-99c0b-4ef8-bb6d-6bb9bd380a11',
    ])
  })
})
