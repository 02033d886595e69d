import { Kind } from '../kinds.ts'
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

/** Encodes one value of a kind; returns the offset behind the field, or NOT_CANONICAL. */
export function encodeField(
  kind: number,
  bytes: Buffer,
  from: number,
  to: number,
  out: Uint8Array,
  at: number,
): number {
  switch (kind) {
    case Kind.text:
      return encodeText(bytes, from, to, out, at)
    case Kind.int4:
      return encodeInt4(bytes, from, to, out, at)
    case Kind.int8:
      return encodeInt8(bytes, from, to, out, at)
    case Kind.numeric:
      return encodeNumeric(bytes, from, to, out, at)
    case Kind.date:
      return encodeDate(bytes, from, to, out, at)
    case Kind.timestamp:
      return encodeTimestamp(bytes, from, to, out, at)
    case Kind.timestamptz:
      return encodeTimestamptz(bytes, from, to, out, at)
    case Kind.float8:
      return encodeFloat8(bytes, from, to, out, at)
    case Kind.float4:
      return encodeFloat4(bytes, from, to, out, at)
    case Kind.int2:
      return encodeInt2(bytes, from, to, out, at)
    case Kind.bool:
      return encodeBool(bytes, from, to, out, at)
    case Kind.uuid:
      return encodeUuid(bytes, from, to, out, at)
    case Kind.time:
      return encodeTime(bytes, from, to, out, at)
    case Kind.jsonb:
      return encodeJsonb(bytes, from, to, out, at)
    case Kind.bytea:
      return encodeBytea(bytes, from, to, out, at)
    case Kind.name:
      return encodeName(bytes, from, to, out, at)
    case Kind.char:
      return encodeChar(bytes, from, to, out, at)
    default:
      return NOT_CANONICAL
  }
}
