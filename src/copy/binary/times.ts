import type { Block } from '../rows.ts'
import { NOT_CANONICAL, putInt64Field } from './integers.ts'

/**
 * Dates and times in ISO 8601, the one form that every DateStyle reads alike.
 *
 * Units:  dates in days, times in microseconds, both from 2000-01-01 in PostgreSQL.
 * Source: date_recv, time_recv, timestamp_recv in PostgreSQL's src/backend/utils/adt.
 */
const TWO_32 = 4294967296
const MONTH_DAYS = Uint8Array.of(0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

/** Microseconds of the last fraction read; returned beside the seconds without an object. */
let micros = 0

/** `YYYY-MM-DD` */
export function encodeDate(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  if (to - from !== 10) return NOT_CANONICAL
  const days = daysAt(bytes, from)
  if (days === NONE) return NOT_CANONICAL
  out.view.setInt32(at, 4)
  out.view.setInt32(at + 4, days)
  return at + 8
}

/** `HH:MM:SS`, with up to six decimals */
export function encodeTime(bytes: Uint8Array, from: number, to: number, out: Block, at: number) {
  const seconds = secondsAt(bytes, from, to)
  if (seconds === NONE) return NOT_CANONICAL
  return putMicros(out, at, seconds)
}

/** `YYYY-MM-DD HH:MM:SS`, with a blank or a T between, and up to six decimals; or the date alone */
export function encodeTimestamp(
  bytes: Uint8Array,
  from: number,
  to: number,
  out: Block,
  at: number,
): number {
  const days = to - from < 10 ? NONE : daysAt(bytes, from)
  if (days === NONE) return NOT_CANONICAL
  micros = 0
  if (to - from === 10) return putMicros(out, at, days * 86400)
  if (!isSeparator(bytes[from + 10]!)) return NOT_CANONICAL
  const seconds = secondsAt(bytes, from + 11, to)
  if (seconds === NONE) return NOT_CANONICAL
  return putMicros(out, at, days * 86400 + seconds)
}

/** A timestamp with an explicit offset: `Z`, `+HH`, `+HH:MM` or `+HHMM` */
export function encodeTimestamptz(
  bytes: Uint8Array,
  from: number,
  to: number,
  out: Block,
  at: number,
): number {
  if (to - from < 20 || !isSeparator(bytes[from + 10]!)) return NOT_CANONICAL
  const zone = zoneStart(bytes, from + 19, to)
  const offset = offsetSeconds(bytes, zone, to)
  const days = daysAt(bytes, from)
  const seconds = secondsAt(bytes, from + 11, zone)
  if (days === NONE || seconds === NONE || offset === NONE) return NOT_CANONICAL
  return putMicros(out, at, days * 86400 + seconds - offset)
}

function isSeparator(byte: number): boolean {
  return byte === 32 || byte === 84
}

/** The number of two digits; far below zero when one is no digit, so that sums of it stay below zero. */
function two(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - 48
  const ones = bytes[at + 1]! - 48
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -100000
}

/** No day, no time: small integers, since a NaN here would turn the whole path into doubles (a third slower). */
const NONE = -0x40000000

/** Days from 2000-01-01 of the `YYYY-MM-DD` at `at`; NONE when it is not a day of the calendar. */
function daysAt(bytes: Uint8Array, at: number): number {
  if (bytes[at + 4] !== 45 || bytes[at + 7] !== 45) return NONE
  let year = two(bytes, at) * 100 + two(bytes, at + 2)
  let month = two(bytes, at + 5)
  const day = two(bytes, at + 8)
  if (year < 1 || month < 1 || month > 12 || day < 1) return NONE
  if (day > 28 && day > MONTH_DAYS[month]! + (month === 2 && isLeap(year) ? 1 : 0)) return NONE
  // date2j() in PostgreSQL's datetime.c: the year begins in March, so that the leap day is the last.
  if (month > 2) {
    month += 1
    year += 4800
  } else {
    month += 13
    year += 4799
  }
  const century = (year / 100) | 0
  const julian =
    year * 365 - 32167 + ((year / 4) | 0) - century + ((century / 4) | 0) + ((7834 * month) >> 8)
  return julian + day - 2451545
}

function isLeap(year: number): boolean {
  // Without a branch: one that is met late has the row loop optimized anew.
  return ((year % 4 === 0) !== (year % 100 === 0)) !== (year % 400 === 0)
}

/** Seconds of the `HH:MM:SS[.ffffff]` in [from, to), its fraction in `micros`; NONE when it is none. */
function secondsAt(bytes: Uint8Array, from: number, to: number): number {
  micros = 0
  if (to - from < 8 || bytes[from + 2] !== 58 || bytes[from + 5] !== 58) return NONE
  const hours = two(bytes, from)
  const minutes = two(bytes, from + 3)
  const seconds = two(bytes, from + 6)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return NONE
  if (seconds < 0 || seconds > 59) return NONE
  if (to - from > 8) {
    const decimals = to - from - 9
    if (bytes[from + 8] !== 46 || decimals < 1 || decimals > 6) return NONE
    for (let i = from + 9; i < from + 15; i++) {
      const digit = i < to ? bytes[i]! - 48 : 0
      if (digit < 0 || digit > 9) return NONE
      micros = micros * 10 + digit
    }
  }
  return hours * 3600 + minutes * 60 + seconds
}

function zoneStart(bytes: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    if (byte === 90 || byte === 43 || byte === 45) return i
  }
  return to
}

/** Seconds east of UTC of the offset in [from, to); NONE when there is none. */
function offsetSeconds(bytes: Uint8Array, from: number, to: number): number {
  const length = to - from
  if (bytes[from] === 90) return length === 1 ? 0 : NONE
  if (length < 3) return NONE
  const hours = two(bytes, from + 1)
  let minutes = 0
  if (length === 6 && bytes[from + 3] === 58) minutes = two(bytes, from + 4)
  else if (length === 5) minutes = two(bytes, from + 3)
  else if (length !== 3) return NONE
  if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59) return NONE
  const seconds = hours * 3600 + minutes * 60
  return bytes[from] === 45 ? -seconds : seconds
}

/** Writes seconds and `micros` as one 64-bit count of microseconds. */
function putMicros(out: Block, at: number, seconds: number): number {
  if (seconds > -9e9 && seconds < 9e9) {
    const total = seconds * 1e6 + micros
    return putInt64Field(out, at, Math.floor(total / TWO_32), total >>> 0)
  }
  // Beyond 285 years from 2000 a double cannot count microseconds: multiply in two parts.
  const a = Math.floor(seconds / 65536) * 1e6
  const b = (seconds - Math.floor(seconds / 65536) * 65536) * 1e6 + micros
  const a1 = Math.floor(a / 65536)
  const rest = (a - a1 * 65536) * 65536 + b
  const carry = Math.floor(rest / TWO_32)
  return putInt64Field(out, at, a1 + carry, rest - carry * TWO_32)
}
