import { encodeInteger } from './integers'
import { DATE, INT2, INT4, INT8, LEFT_OUT, NUMERIC, TEXT, TIMESTAMP } from './kinds'
import { encodeNumeric } from './numeric'
import { NO_ROOM, ODD } from './outcome'
import { putNull } from './output'
import { encodeText } from './text'
import { encodeDate, encodeTimestamp } from './times'

/** No field needs more than this beside twice its bytes: a numeric, the most wasteful, has a head of 12. */
export const FIELD_ROOM = 24

/** Encodes a field of a kind that is not the kernel's own, or not in its usual form; ODD when that does not go either. */
declare function encodeOther(kind: u8, from: i32, to: i32, at: i32): i32

export function encodeNull(kind: u8, at: i32, limit: i32): i32 {
  if (kind == LEFT_OUT) return at
  return at > limit - FIELD_ROOM ? NO_ROOM : putNull(at)
}

// @ts-ignore: decorator
@inline
export function encodeField(kind: u8, from: i32, to: i32, at: i32, limit: i32): i32 {
  if (at + (to - from) * 2 > limit - FIELD_ROOM) return NO_ROOM
  const next = encodeUsual(kind, from, to, at)
  return next >= 0 ? next : encodeOther(kind, from, to, at)
}

/** The kinds and forms that nearly all fields have. */
// @ts-ignore: decorator
@inline
function encodeUsual(kind: u8, from: i32, to: i32, at: i32): i32 {
  switch (kind) {
    case INT2:
    case INT4:
    case INT8:
      return encodeInteger(kind, from, to, at)
    case NUMERIC:
      return encodeNumeric(from, to, at)
    case DATE:
      return encodeDate(from, to, at)
    case TIMESTAMP:
      return encodeTimestamp(from, to, at)
    case TEXT:
      return encodeText(from, to, at)
    case LEFT_OUT:
      return at
    default:
      return ODD
  }
}
