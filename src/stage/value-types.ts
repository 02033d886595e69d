/** Whether a text is a value of a type, in a form that PostgreSQL reads whatever its settings are. */
export type IsOfType = (text: string) => boolean

/** The test for a type by its name in PostgreSQL; null for a type that cannot be told from text. */
export function typeTest(type: string): IsOfType | null {
  return TESTS[type.toLowerCase()] ?? null
}

const INTEGER = /^[+-]?\d{1,30}$/
const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,4})?$/i
const DATE = /^(\d{4})-(\d\d)-(\d\d)$/
const TIME = /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?$/
const ZONE = /(?:Z|[+-]\d\d(?::?\d\d)?)$/i
const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

function integerOf(bits: bigint): IsOfType {
  const most = 2n ** (bits - 1n)
  return (text) => {
    if (!INTEGER.test(text)) return false
    const value = BigInt(text.replace('+', ''))
    return value >= -most && value < most
  }
}

function isDate(text: string): boolean {
  const [, year, month, day] = DATE.exec(text) ?? []
  if (year === undefined || year === '0000') return false
  const date = new Date(`${text}T00:00:00Z`)
  return date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day)
}

function isTimestamp(text: string): boolean {
  if (text.length === 10) return isDate(text)
  return /[ T]/.test(text.charAt(10)) && isDate(text.slice(0, 10)) && TIME.test(text.slice(11))
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const int2 = integerOf(16n)
const int4 = integerOf(32n)
const int8 = integerOf(64n)
const isDecimal: IsOfType = (text) => DECIMAL.test(text)
const isBoolean: IsOfType = (text) => /^(?:t|f|true|false)$/i.test(text)
const isZoned: IsOfType = (text) => ZONE.test(text) && isTimestamp(text.replace(ZONE, ''))

const TESTS: Readonly<Record<string, IsOfType>> = {
  int2,
  smallint: int2,
  int4,
  int: int4,
  integer: int4,
  int8,
  bigint: int8,
  numeric: isDecimal,
  decimal: isDecimal,
  float4: isDecimal,
  real: isDecimal,
  float8: isDecimal,
  'double precision': isDecimal,
  bool: isBoolean,
  boolean: isBoolean,
  date: isDate,
  time: (text) => TIME.test(text),
  timestamp: isTimestamp,
  timestamptz: isZoned,
  uuid: (text) => UUID.test(text),
  json: isJson,
  jsonb: isJson,
}
