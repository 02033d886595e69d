import fc from 'fast-check'

/** A column type and the texts that are tried in it. */
export interface TypeCase {
  /** As in CREATE TABLE. */
  readonly type: string
  readonly texts: fc.Arbitrary<string>
  /** Tried in every run. */
  readonly borders: readonly string[]
}

/** Statements that make the enum and the domains of `typeCases`. */
export const typeDefinitions = `
  create type mood as enum ('sad', 'ok', 'Very Happy', 'über', '42');
  create domain positive as int4 check (value > 0);
  create domain small_positive as positive check (value < 1000);
  create domain required as text not null;
  create domain short as varchar(5) check (value <> 'no');
  create domain money2 as numeric(6, 2);
  create domain any_numeric as numeric check (value >= 0);
  create domain moment as timestamptz(3);
  create domain feeling as mood`

/** Digits, with runs of zeros and nines, which is where groups of digits and roundings go wrong. */
function digits(most: number): fc.Arbitrary<string> {
  const piece = fc.oneof(
    fc.nat({ max: 9999 }).map(String),
    fc.integer({ min: 1, max: 12 }).map((n) => '0'.repeat(n)),
    fc.integer({ min: 1, max: 8 }).map((n) => '9'.repeat(n)),
    fc.constantFrom('1', '5', '0001', '10000'),
  )
  return fc
    .array(piece, { minLength: 1, maxLength: 60, size: 'max' })
    .chain((pieces) => fc.integer({ min: 1, max: most }).map((n) => pieces.join('').slice(0, n)))
}

const sign = fc.constantFrom('', '', '', '-', '-', '+')

function join(...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.tuple(...parts).map((texts) => texts.join(''))
}

function digitsOf(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

function padded(least: number, most: number, width: number): fc.Arbitrary<string> {
  return fc.integer({ min: least, max: most }).map((value) => digitsOf(value, width))
}

/** Texts that are nearly those of `texts`: one character more, less or another. */
function nearly(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const character = fc.constantFrom(...' 0159+-.,_:eExXTtZz/"\\aN\t\n', '\u00a0', '٣')
  return fc
    .tuple(texts, fc.nat(), character, fc.constantFrom('insert', 'replace', 'remove'))
    .map(([text, place, piece, how]) => {
      const at = place % (text.length + 1)
      const rest = text.slice(how === 'insert' ? at : at + 1)
      return text.slice(0, at) + (how === 'remove' ? '' : piece) + rest
    })
}

const integers = join(
  sign,
  fc.oneof(
    digits(6),
    digits(25),
    fc.constantFrom(...[7, 8, 15, 16, 31, 32, 53, 63, 64].map((n) => String(2n ** BigInt(n)))),
    fc.constantFrom(...[15, 31, 32, 53, 63].map((n) => String(2n ** BigInt(n) - 1n))),
  ),
)

const numberBorders = [
  ...['', ' 1', '1 ', '+1', '-0', '00', '007', '1_000', '0x10', '0o17', '0b1', '--1', '-', '+'],
  ...['1e5', '1E5', '1e+5', '1e-5', '1.e5', '.5e1', '1e', '1e+', '1e5.5', '.', '1.', '.5', '-.5'],
  ...['1.0', '-0.0', '0.00', '1.5', '1,5', '1.5.5', 'NaN', 'nan', 'infinity', '-Infinity', 'inf'],
  ...['32767', '32768', '-32768', '-32769', '2147483647', '2147483648', '-2147483648'],
  ...['-2147483649', '4294967295', '4294967296', '9007199254740993', '999999999', '1000000000'],
  ...['9223372036854775807', '9223372036854775808', '-9223372036854775808'],
  ...['-9223372036854775809', '18446744073709551616', '00000000000000000000000000000000000001'],
  ...['-0000000000000000000', '99999999999999999999', '123456789012345', '1234567890123456'],
  ...['-99999999999999', '-999999999999999', '-9999999999999999'],
]

const decimals = fc.oneof(
  integers,
  join(sign, digits(8), fc.constant('.'), digits(6)),
  join(sign, digits(300), fc.constant('.'), digits(300)),
  join(sign, digits(150)),
  join(sign, fc.constant('.'), digits(100)),
  join(sign, digits(20), fc.constant('.')),
)

const decimalBorders = [
  ...numberBorders,
  ...['10000', '10000.0001', '99999999', '99999999.9999', '100000000', '00000001.5', '0.0001'],
  ...['0.00001', '0.99999', '1.0000', '1.00000000', '9999.995', '9999.994', '999.995', '-999.995'],
  ...[
    '0.' + '0'.repeat(20) + '1',
    '1' + '0'.repeat(40),
    '1' + '0'.repeat(40) + '.' + '0'.repeat(9),
  ],
  ...['9'.repeat(299), '0'.repeat(300) + '.5', '1'.repeat(9) + '.5', '1'.repeat(8) + '.12345'],
  ...[
    '7'.repeat(15999) + '.1',
    '0.' + '0'.repeat(15998) + '1',
    '1'.repeat(16001),
    '-0.' + '0'.repeat(50),
  ],
  ...['1.' + '3'.repeat(16384), '1' + '0'.repeat(131071)],
]

const float64 = new Float64Array(1)
const words = new BigUint64Array(float64.buffer)
const float32 = new Float32Array(1)
const bits = new Uint32Array(float32.buffer)

function doubleOf(pattern: bigint): number {
  words[0] = pattern
  return float64[0]!
}

function singleOf(pattern: number): number {
  bits[0] = pattern
  return float32[0]!
}

/** The number half-way between two neighbouring singles, and its neighbours: where rounding twice shows. */
const singleTies = fc
  .tuple(fc.integer({ min: 0, max: 0x7f7ffffe }), fc.constantFrom('', '0000001', '5', '-'))
  .map(([pattern, tail]) => {
    const middle = (singleOf(pattern) + singleOf(pattern + 1)) / 2
    const text = middle.toPrecision(90)
    const end = text.indexOf('e') < 0 ? text.length : text.indexOf('e')
    if (tail === '-') return text.slice(0, 20) + text.slice(end)
    return text.slice(0, end) + tail + text.slice(end)
  })

const doubles = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(doubleOf),
  fc.bigInt({ min: 0n, max: 2n ** 53n }).map(doubleOf),
  fc.integer({ min: 0, max: 0xffffffff }).map(singleOf),
  fc.double(),
)

const floats = fc.oneof(
  doubles.map(String),
  doubles.chain((value) =>
    fc.integer({ min: 1, max: 40 }).map((n) => (Number.isFinite(value) ? value : 0).toPrecision(n)),
  ),
  doubles.map((value) => value.toExponential()),
  singleTies,
  decimals,
  join(sign, digits(30), fc.constantFrom('e', 'E'), sign, digits(3)),
  join(sign, digits(5), fc.constant('.'), digits(20), fc.constant('e'), sign, digits(2)),
)

const floatBorders = [
  ...numberBorders,
  ...[
    '3.4028234663852886e38',
    '3.4028235677973366e38',
    '3.4028235677973365e38',
    '3.5e38',
    '-3.5e38',
  ],
  ...[
    '1.1754943508222875e-38',
    '1.1754943508222874e-38',
    '1.401298464324817e-45',
    '7e-46',
    '1e-46',
  ],
  ...['16777217', '16777217.0000000001', '16777219', '16777216.9999999999', '0.1', '0.3', '1e23'],
  ...[
    '9007199254740993',
    '9007199254740992.99999',
    '1e22',
    '123456789012345e-22',
    '1e308',
    '1.8e308',
  ],
  ...[
    '1.7976931348623157e308',
    '1.7976931348623159e308',
    '4.9e-324',
    '2.4e-324',
    '2.5e-324',
    '1e-400',
  ],
  ...['2.2250738585072014e-308', '2.2250738585072011e-308', '0e10', '-0e-10', '0.0e400', '1e400'],
  ...[
    '0.' + '0'.repeat(400) + '1',
    '1' + '0'.repeat(308),
    '1' + '0'.repeat(309),
    '0x1p3',
    '1f',
    '1d',
  ],
]

const years = fc.oneof(
  padded(1990, 2030, 4),
  padded(0, 9999, 4),
  fc.constantFrom('0001', '0000', '0099', '1900', '2000', '1999', '9999', '10000', '99'),
)
const days = fc.oneof(
  {
    weight: 4,
    arbitrary: join(years, fc.constant('-'), padded(1, 12, 2), fc.constant('-'), padded(1, 28, 2)),
  },
  join(
    years,
    fc.constantFrom('-', '/', '.', ''),
    padded(0, 13, 2),
    fc.constantFrom('-', '/'),
    padded(0, 32, 2),
  ),
  join(years, fc.constantFrom('-02-28', '-02-29', '-02-30', '-04-31', '-12-31', '-01-01')),
  fc.constantFrom('epoch', 'today', 'infinity', '-infinity', 'Jan 5 2020', '2020-1-2', '20200102'),
)
const dates = join(days, fc.constantFrom('', '', '', '', '', ' BC', ' AD', 'BC', ' '))

const dateBorders = [
  ...[
    '2020-02-29',
    '2021-02-29',
    '2020-02-30',
    '1900-02-29',
    '2000-02-29',
    '0001-01-01',
    '9999-12-31',
  ],
  ...[
    '0000-01-01',
    '-0001-01-01',
    '0044-03-15 BC',
    '10000-01-01',
    '2020-13-01',
    '2020-00-10',
    '2020-01-00',
  ],
  ...[
    '',
    ' 2020-01-01',
    '2020-01-01 ',
    '2020-1-01',
    '01/02/2020',
    '02-01-2020',
    '99-01-02',
    '0099-01-02',
  ],
  ...[
    '0004-02-29',
    '0100-02-29',
    '0400-02-29',
    '1999-12-31',
    '2000-01-01',
    '1582-10-10',
    '2020-01-0a',
  ],
]

const fraction = fc.oneof(fc.constant(''), fc.constant('.'), join(fc.constant('.'), digits(7)))
const clocks = fc.oneof(
  {
    weight: 4,
    arbitrary: join(
      padded(0, 23, 2),
      fc.constant(':'),
      padded(0, 59, 2),
      fc.constant(':'),
      padded(0, 59, 2),
      fraction,
    ),
  },
  join(
    padded(0, 25, 2),
    fc.constant(':'),
    padded(0, 61, 2),
    fc.constant(':'),
    padded(0, 61, 2),
    fraction,
  ),
  fc.constantFrom(
    '24:00:00',
    '24:00:00.1',
    '23:59:60',
    '23:59:59.999999',
    '23:59:59.9999995',
    '00:00:00',
  ),
  fc.constantFrom(
    '12:34',
    '1:02:03',
    '123456',
    '12:00:00 PM',
    '12:00:00 am',
    'allballs',
    '04:05 PM',
  ),
)
const offsets = fc.oneof(
  fc.constantFrom(
    '',
    'Z',
    'z',
    '+00',
    '-00:00',
    '+05:30',
    '-0530',
    '+14',
    '+14:59',
    '-14:59',
    '+15',
  ),
  fc.constantFrom(
    '+15:59',
    '-15:59',
    '+16',
    '+1',
    '+5:30',
    '+05:60',
    '+05:30:15',
    ' +01',
    ' UTC',
    ' EST',
    ' Europe/Rome',
  ),
  join(
    fc.constantFrom('+', '-'),
    padded(0, 16, 2),
    fc.constantFrom('', ':', ':'),
    fc.constantFrom('', '00', '30', '59'),
  ),
)
const separator = fc.constantFrom(' ', ' ', 'T', 'T', 't', '  ', '_', '')
const moments = fc.oneof(
  days,
  join(days, separator, clocks),
  join(days, separator, clocks, offsets),
  join(days, separator, clocks, offsets, fc.constantFrom(' BC', ' AD')),
)

const momentBorders = [
  ...dateBorders,
  ...['2020-01-01 00:00:00', '2020-01-01T24:00:00Z', '2020-01-01 23:59:60', '2020-01-01 00:00:00.'],
  ...[
    '0001-01-01 00:00:00',
    '0001-01-01T00:00:00+14:59',
    '9999-12-31 23:59:59.999999',
    '9999-12-31 23:59:59.999999-14:59',
  ],
  ...[
    '0001-01-01 00:00:00.000001Z',
    '1714-09-12 00:00:00.000001Z',
    '2285-04-19 12:00:00.999999Z',
    '1999-12-31 23:59:59.999999',
  ],
  ...[
    '2020-01-01 12:00:00.1234565',
    '2020-01-01 12:00:00.0005',
    '2020-01-01 12:00:00.9995',
    '2020-01-01 12:00:00.0015Z',
  ],
  ...[
    '2020-06-01 12:00:00+02:00',
    '2020-06-01T12:00:00+0200',
    '2020-06-01 12:00:00-02',
    '2020-06-01 12:00:00 Z',
  ],
  ...[
    'infinity',
    '-infinity',
    'now',
    'epoch',
    '2020-06-01T12:00Z',
    '2020-06-01 12',
    '2020-06-01 12:00:00,5',
  ],
]

const clockBorders = [
  ...[
    '',
    '00:00:00',
    '23:59:59',
    '24:00:00',
    '24:00:01',
    '23:59:60',
    '23:59:59.999999',
    '23:59:59.9999999',
  ],
  ...[
    '12:34:56.',
    '12:34:56.1',
    '12:34:56.0005',
    '12:34:56.9995',
    '12:34',
    ' 12:34:56',
    '12:34:56Z',
    '12:34:56+01',
  ],
  ...['1:02:03', '12.34.56', '12:34:5', '12:3:45', '23:59:59.9996'],
]

const texts = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20, size: 'max' }) },
  fc.string({ unit: 'binary', maxLength: 100, size: 'max' }),
  fc.string({ unit: fc.constantFrom(...'",\n\r\t\\N. a\b\v\f'), maxLength: 12 }),
  fc.string({ unit: 'binary-ascii', maxLength: 8 }),
)
const textBorders = [
  '',
  ' ',
  '\\',
  '\\N',
  '\\.',
  '"',
  '""',
  ',',
  '\n',
  '\r\n',
  '\\\\.',
  'ä',
  '€',
  '😀',
  '\u{10ffff}',
]
const limited = [
  'abcde',
  'abcdef',
  'abcde  ',
  'ab   ',
  '     ',
  '      ',
  'ääääé',
  'ääääéé',
  '😀😀😀😀😀',
  'no',
]
const longTexts = [
  'x'.repeat(63),
  'x'.repeat(64),
  'ä'.repeat(31),
  'ä'.repeat(32),
  '😀'.repeat(16),
  'x'.repeat(70000),
]

const json = fc.oneof(
  fc.json(),
  fc.json().map((text) => ` \n${text}\t`),
  fc.tuple(fc.json(), fc.json()).map(([a, b]) => `{"a": ${a}, "b" :[${b},1e5, -0.0], "a": 1.10}`),
)
const jsonBorders = [
  ...[
    '',
    ' ',
    'null',
    '{}',
    '[]',
    '""',
    '"\\u0000"',
    '"\\u00e4"',
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    "{'a':1}",
  ],
  ...[
    '01',
    '1e400',
    '1e-400',
    '1E+2',
    '-0',
    '.5',
    '1.',
    'NaN',
    'True',
    '[1,]',
    '{"a":1,"a":2}',
    '{"b":1,"aa":2}',
  ],
  ...[
    '\u00a0{}',
    '{}x',
    '"a\tb"',
    '"a',
    '123456789012345678901234567890.1234567890',
    '[[[[[[]]]]]]',
  ],
]

const hex = fc.string({
  unit: fc.constantFrom(...'0123456789abcdefABCDEF'),
  maxLength: 40,
  size: 'max',
})
const uuids = fc
  .uuid()
  .chain((text) =>
    fc.constantFrom(text, text.toUpperCase(), text.replaceAll('-', ''), `{${text}}`, text + '0'),
  )

const booleanBorders = [
  ...[
    't',
    'f',
    'true',
    'false',
    'yes',
    'no',
    'on',
    'off',
    '1',
    '0',
    'y',
    'n',
    'T',
    'F',
    'TRUE',
    'False',
  ],
  ...[
    'tr',
    'tru',
    'fals',
    'ye',
    'o',
    'of',
    ' t',
    't ',
    ' true ',
    '',
    'truee',
    '2',
    '10',
    '-1',
    'null',
    'YES',
  ],
]
const moods = [
  'sad',
  'ok',
  'Very Happy',
  'über',
  '42',
  'Sad',
  ' sad',
  'sad ',
  '',
  'very happy',
  'x'.repeat(64),
]

function typeCase(
  type: string,
  values: fc.Arbitrary<string>,
  borders: readonly string[],
): TypeCase {
  const withNearMisses = fc.oneof(
    { weight: 6, arbitrary: values },
    { weight: 1, arbitrary: nearly(values) },
    { weight: 1, arbitrary: fc.constantFrom(...borders) },
  )
  return { type, texts: withNearMisses.map((text) => text.replaceAll('\0', '')), borders }
}

function typeCasesOf(
  types: readonly string[],
  values: fc.Arbitrary<string>,
  borders: readonly string[],
): TypeCase[] {
  return types.map((type) => typeCase(type, values, borders))
}

/** Every type that has a binary encoder, with and without a modifier, and domains over them. */
export const typeCases: readonly TypeCase[] = [
  typeCase('bool', fc.constantFrom(...booleanBorders), booleanBorders),
  ...typeCasesOf(['int2', 'int4', 'int8', 'positive', 'small_positive'], integers, numberBorders),
  ...typeCasesOf(['float4', 'float8'], floats, floatBorders),
  ...typeCasesOf(
    ['numeric', 'numeric(12, 3)', 'numeric(5)', 'numeric(400, 200)', 'money2', 'any_numeric'],
    decimals,
    decimalBorders,
  ),
  ...typeCasesOf(['text', 'varchar', 'bpchar', 'name', 'required'], texts, [
    ...textBorders,
    ...longTexts,
  ]),
  ...typeCasesOf(['varchar(5)', 'char(5)', 'short'], texts, [...textBorders, ...limited]),
  typeCase('"char"', texts, [...textBorders, 'a', 'ab', '\\001', '\\377', '7', ' a']),
  ...typeCasesOf(['json', 'jsonb'], json, jsonBorders),
  typeCase(
    'bytea',
    fc.oneof(
      hex.map((text) => `\\x${text}`),
      texts,
    ),
    [
      '',
      '\\x',
      '\\x0',
      '\\x00',
      '\\X00',
      '\\x 00',
      '\\x00 ff',
      '\\xgg',
      'abc',
      '\\001',
      '\\\\',
      '\\',
      '\\8',
      '\\xDEadBEef',
    ],
  ),
  typeCase('uuid', uuids, [
    '',
    '00000000-0000-0000-0000-000000000000',
    'g0000000-0000-0000-0000-000000000000',
  ]),
  typeCase('date', dates, dateBorders),
  ...typeCasesOf(['time', 'time(3)', 'time(0)'], clocks, clockBorders),
  ...typeCasesOf(
    ['timestamp', 'timestamp(3)', 'timestamptz', 'timestamptz(0)', 'moment'],
    moments,
    momentBorders,
  ),
  ...typeCasesOf(['mood', 'feeling'], fc.constantFrom(...moods), moods),
]
