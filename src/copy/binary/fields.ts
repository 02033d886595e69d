import { Kind } from '../kinds.ts'
import type { Block } from '../rows.ts'
import { encodeFloat4, encodeFloat8 } from './floats.ts'
import { encodeBool, encodeInt2, encodeInt4, encodeInt8, NOT_CANONICAL } from './integers.ts'
import { encodeNumeric } from './numeric.ts'
import {
  encodeBytea,
  encodeChar,
  encodeJsonb,
  encodeName,
  encodeText,
  encodeUuid,
} from './strings.ts'
import { encodeDate, encodeTime, encodeTimestamp, encodeTimestamptz } from './times.ts'

// Of the module's own: an imported constant is looked up for each comparison.
const {
  text: TEXT,
  int4: INT4,
  int8: INT8,
  numeric: NUMERIC,
  date: DATE,
  timestamp: TIMESTAMP,
  timestamptz: TIMESTAMPTZ,
  float8: FLOAT8,
  float4: FLOAT4,
  int2: INT2,
  bool: BOOL,
  uuid: UUID,
  time: TIME,
  jsonb: JSONB,
  bytea: BYTEA,
  name: NAME,
  char: CHAR,
  json: JSON_TEXT,
} = Kind

/** Encodes one value of a kind; returns the offset behind the field, or NOT_CANONICAL. */
export function encodeField(
  kind: number,
  bytes: Buffer,
  from: number,
  to: number,
  out: Block,
  at: number,
): number {
  switch (kind) {
    case TEXT:
    case JSON_TEXT:
      return encodeText(bytes, from, to, out, at)
    case INT4:
      return encodeInt4(bytes, from, to, out, at)
    case INT8:
      return encodeInt8(bytes, from, to, out, at)
    case NUMERIC:
      return encodeNumeric(bytes, from, to, out, at)
    case DATE:
      return encodeDate(bytes, from, to, out, at)
    case TIMESTAMP:
      return encodeTimestamp(bytes, from, to, out, at)
    case TIMESTAMPTZ:
      return encodeTimestamptz(bytes, from, to, out, at)
    case FLOAT8:
      return encodeFloat8(bytes, from, to, out, at)
    case FLOAT4:
      return encodeFloat4(bytes, from, to, out, at)
    case INT2:
      return encodeInt2(bytes, from, to, out, at)
    case BOOL:
      return encodeBool(bytes, from, to, out, at)
    case UUID:
      return encodeUuid(bytes, from, to, out, at)
    case TIME:
      return encodeTime(bytes, from, to, out, at)
    case JSONB:
      return encodeJsonb(bytes, from, to, out, at)
    case BYTEA:
      return encodeBytea(bytes, from, to, out, at)
    case NAME:
      return encodeName(bytes, from, to, out, at)
    case CHAR:
      return encodeChar(bytes, from, to, out, at)
    default:
      return NOT_CANONICAL
  }
}
