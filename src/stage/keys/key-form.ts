import { instantText, timestampText } from '../compare.ts'
import { plainTypeName } from '../type-name.ts'

/**
 * How the text of a value is written in a key: the same for values that are equal in PostgreSQL.
 *
 * Shape: numbers by their value, whatever their digits; dates and times by the moment, in forms of ISO 8601; uuid
 *        regardless of case; bpchar without the spaces at its end. Text of another form, and all other types, as it stands.
 */
export interface KeyForm {
  readonly of: (text: string) => string
  /** Whether text of digits alone, without a leading zero and no longer than this, is written as it stands. */
  readonly plainDigits: number
  /** Whether every text is. */
  readonly asIs: boolean
}

/** The form for a type, by its name in pg_catalog or as one writes it. */
export function keyFormOf(type: string): KeyForm {
  return FORMS[plainTypeName(type)] ?? AS_IS
}

const AS_IS: KeyForm = { of: (text) => text, plainDigits: Infinity, asIs: true }

const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d{1,4}))?$/i

/** A decimal without what does not change its value: 1.50, +1.5 and 15e-1 are 1.5. */
function decimalText(text: string): string {
  const trimmed = text.trim()
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(trimmed) ?? []
  if (whole + fraction === '') return trimmed.toLowerCase()
  const shift = Number(exponent)
  const digits = whole + fraction + '0'.repeat(Math.max(0, shift - fraction.length))
  const point = whole.length + shift
  const before = point > 0 ? digits.slice(0, point).replace(/^0+/, '') : ''
  const after = '0'.repeat(Math.max(0, -point)) + digits.slice(Math.max(0, point))
  const rest = after.replace(/0+$/, '')
  const value = (before === '' ? '0' : before) + (rest === '' ? '' : `.${rest}`)
  return sign === '-' && value !== '0' ? `-${value}` : value
}

function doubleText(text: string): string {
  const trimmed = text.trim()
  return DECIMAL.test(trimmed) ? String(Number(trimmed)) : specialFloat(trimmed)
}

function floatText(text: string): string {
  const trimmed = text.trim()
  return DECIMAL.test(trimmed) ? String(Math.fround(Number(trimmed))) : specialFloat(trimmed)
}

function specialFloat(text: string): string {
  return text
    .toLowerCase()
    .replace(/^\+/, '')
    .replace(/^(-?)inf$/, '$1infinity')
}

/** PostgreSQL takes no notice of the zone of a Date either. */
function timeText(text: string): string {
  return timestampText(text.replace(/Z$/, '')) ?? text
}

function dateText(text: string): string {
  return timestampText(text.replace(/Z$/, ''))?.slice(0, 10) ?? text
}

const decimal: KeyForm = { of: decimalText, plainDigits: Infinity, asIs: false }
const double: KeyForm = { of: doubleText, plainDigits: 15, asIs: false }
const float: KeyForm = { of: floatText, plainDigits: 7, asIs: false }
/** Of which a stage's own value has one text. */
const valued: KeyForm = { of: (text) => text, plainDigits: 0, asIs: false }
const uuid: KeyForm = { of: (text) => text.toLowerCase(), plainDigits: 0, asIs: false }
const padded: KeyForm = {
  of: (text) => text.replace(/ +$/, ''),
  plainDigits: Infinity,
  asIs: false,
}
const date: KeyForm = { of: dateText, plainDigits: 0, asIs: false }
const timestamp: KeyForm = { of: timeText, plainDigits: 0, asIs: false }
const timestamptz: KeyForm = {
  of: (text) => instantText(text) ?? text,
  plainDigits: 0,
  asIs: false,
}

const FORMS: Readonly<Record<string, KeyForm>> = {
  int2: decimal,
  smallint: decimal,
  int4: decimal,
  int: decimal,
  integer: decimal,
  int8: decimal,
  bigint: decimal,
  numeric: decimal,
  decimal,
  float4: float,
  real: float,
  float8: double,
  float: double,
  'double precision': double,
  bool: valued,
  boolean: valued,
  bytea: valued,
  uuid,
  bpchar: padded,
  char: padded,
  character: padded,
  date,
  timestamp,
  'timestamp without time zone': timestamp,
  timestamptz,
  'timestamp with time zone': timestamptz,
}
