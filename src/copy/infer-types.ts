import type { Fields } from '../chunk/fields.ts'
import { encodeDate, encodeTimestamp, encodeTimestamptz } from './binary/times.ts'
import { encodeUuid } from './binary/strings.ts'
import { Block } from './rows.ts'

/**
 * The narrowest type that all values of a column are canonical for.
 *
 * Rule: conservative. Leading zeros mean text, so do numbers with a plus sign, blanks or separators; booleans only as
 *       t, f, true, false; what mixes kinds is text.
 */
export type InferredType =
  | 'none'
  | 'boolean'
  | 'integer'
  | 'bigint'
  | 'numeric'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'uuid'
  | 'text'

export interface InferredColumn {
  readonly type: InferredType
  readonly nulls: number
}

/** What holds the values of both types. */
export function widen(a: InferredType, b: InferredType): InferredType {
  if (a === b || b === 'none') return a
  if (a === 'none') return b
  const place = Math.max(NUMBERS.indexOf(a), NUMBERS.indexOf(b))
  if (NUMBERS.includes(a) && NUMBERS.includes(b)) return NUMBERS[place]!
  if (TIMES.includes(a) && TIMES.includes(b)) return 'timestamp'
  return 'text'
}

const NUMBERS: readonly InferredType[] = ['integer', 'bigint', 'numeric']
const TIMES: readonly InferredType[] = ['date', 'timestamp']

/** What holds the values of both columns. */
export function widenColumn(a: InferredColumn, b: InferredColumn): InferredColumn {
  return { type: widen(a.type, b.type), nulls: a.nulls + b.nulls }
}

/** The type to create a column with; one without any value is text. */
export function sqlType(type: InferredType): string {
  return type === 'none' ? 'text' : type
}

/** The inferred type that a column was created with, by the name the catalog gives it; null for any other. */
export function inferredType(catalogName: string): InferredType | null {
  return FROM_CATALOG[catalogName] ?? null
}

const FROM_CATALOG: Readonly<Record<string, InferredType>> = {
  boolean: 'boolean',
  integer: 'integer',
  bigint: 'bigint',
  numeric: 'numeric',
  date: 'date',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  uuid: 'uuid',
}

/** Infers the types of the columns of one fields. */
export function inferTypes(fields: Fields): InferredColumn[] {
  const { bytes, offsets, rowCount, fieldCount } = fields
  const columns: InferredColumn[] = []
  for (let field = 0; field < fieldCount; field++) {
    let type: InferredType = 'none'
    let nulls = 0
    for (let row = 0; row < rowCount; row++) {
      const k = (row * fieldCount + field) * 2
      const from = offsets[k]!
      const to = offsets[k + 1]!
      if (from < 0) nulls++
      // A field that holds quotes (to < 0) is text, whatever it is without them.
      else if (type !== 'text') type = to < 0 ? 'text' : widen(type, typeOf(bytes, from, to, type))
    }
    columns.push({ type, nulls })
  }
  return columns
}

const scratch = new Block(Buffer.alloc(32), 0)
const BOOLEANS = new Set(['t', 'f', 'true', 'false'])

function typeOf(bytes: Buffer, from: number, to: number, likely: InferredType): InferredType {
  const length = to - from
  if (length === 0 || length > 1000) return 'text'
  if (likely === 'text') return 'text'
  const first = bytes[from]!
  const number = first === 45 || (first >= 48 && first <= 57) || first === 46
  if (number) {
    const type = numberOf(bytes, from, to)
    if (type !== 'text') return type
    if (length >= 10 && bytes[from + 4] === 45) return timeOf(bytes, from, to)
  }
  if (length === 36 && encodeUuid(bytes, from, to, scratch, 0) > 0) return 'uuid'
  if (length <= 5 && BOOLEANS.has(bytes.toString('latin1', from, to))) return 'boolean'
  return 'text'
}

function timeOf(bytes: Buffer, from: number, to: number): InferredType {
  if (encodeDate(bytes, from, to, scratch, 0) > 0) return 'date'
  if (encodeTimestamp(bytes, from, to, scratch, 0) > 0) return 'timestamp'
  return encodeTimestamptz(bytes, from, to, scratch, 0) > 0 ? 'timestamptz' : 'text'
}

function numberOf(bytes: Buffer, from: number, to: number): InferredType {
  const start = bytes[from] === 45 ? from + 1 : from
  let point = to
  let value = 0
  let isZero = true
  for (let i = start; i < to; i++) {
    const byte = bytes[i]!
    if (byte === 46 && point === to) point = i
    else if (byte < 48 || byte > 57) return 'text'
    if (byte !== 48 && byte !== 46) isZero = false
    if (byte !== 46 && i - start < 15) value = value * 10 + (byte - 48)
  }
  const whole = point - start
  const decimals = point < to ? to - point - 1 : 0
  if (whole === 0 || (point < to && decimals === 0)) return 'text'
  if (whole > 1 && bytes[start] === 48) return 'text'
  // A minus before zero would be lost in a number.
  if (isZero && start > from) return 'text'
  if (point < to) return 'numeric'
  if (whole > 18) return 'numeric'
  if (whole > 10) return 'bigint'
  return value <= 2147483647 ? 'integer' : 'bigint'
}
