import { digitsAt, nonDigits, pairsOf } from './digits'
import { ODD } from './outcome'
import { putField32, putField64 } from './output'

const NO_DAY = i32.MIN_VALUE
const MONTH_DAYS = memory.data<u8>([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
const MICROS_OF_DAY: i64 = 86_400_000_000

/** Encodes `YYYY-MM-DD`. */
// @ts-ignore: decorator
@inline
export function encodeDate(from: i32, to: i32, at: i32): i32 {
  if (to - from != 10) return ODD
  const days = daysAt(from)
  return days == NO_DAY ? ODD : putField32(at, days)
}

/** Encodes `YYYY-MM-DD HH:MM:SS`, with a blank or a T between. */
export function encodeTimestamp(from: i32, to: i32, at: i32): i32 {
  if (to - from != 19) return ODD
  const separator = load<u8>(from + 10)
  if (separator != 32 && separator != 84) return ODD
  const days = daysAt(from)
  if (days == NO_DAY) return ODD
  // Colons become 0, as digits do, and are told from digits by the mask.
  const time = load<u64>(from + 11) ^ 0x30303a30303a3030
  if ((nonDigits(time) | (time & 0x0000ff0000ff0000)) != 0) return ODD
  const pairs = pairsOf(time)
  const hours = <u32>pairs & 0xff
  const minutes = <u32>(pairs >> 24) & 0xff
  const seconds = <u32>(pairs >> 48) & 0xff
  if (hours > 23 || minutes > 59 || seconds > 59) return ODD
  const micros = <i64>(hours * 3600 + minutes * 60 + seconds) * 1_000_000
  return putField64(at, <i64>days * MICROS_OF_DAY + micros)
}

/** Days from 2000-01-01 of the `YYYY-MM-DD` at `at`; NO_DAY when it is not a day of the calendar. */
// @ts-ignore: decorator
@inline
function daysAt(at: i32): i32 {
  const yearMonth = load<u64>(at) ^ 0x2d30302d30303030
  const ofMonth = <u64>load<u16>(at + 8) ^ 0x3030
  const hyphens = yearMonth & 0xff0000ff00000000
  if ((nonDigits(yearMonth) | nonDigits(ofMonth) | hyphens) != 0) return NO_DAY
  const pairs = pairsOf(yearMonth)
  let year = (<u32>pairs & 0xff) * 100 + (<u32>(pairs >> 16) & 0xff)
  let month = <u32>(pairs >> 40) & 0xff
  const day = <u32>pairsOf(ofMonth) & 0xff
  if (year == 0 || month == 0 || month > 12 || day == 0) return NO_DAY
  const leap = <i32>(year % 4 == 0) ^ <i32>(year % 100 == 0) ^ <i32>(year % 400 == 0)
  if (day > <u32>load<u8>(MONTH_DAYS + month) + (leap & <i32>(month == 2))) return NO_DAY
  // date2j() in PostgreSQL's datetime.c: the year begins in March, so that the leap day is the last.
  const early = <u32>(month <= 2)
  year += 4800 - early
  month += 1 + 12 * early
  const century = year / 100
  const julian = year * 365 - 32167 + year / 4 - century + century / 4 + ((7834 * month) >> 8)
  return <i32>(julian + day - 2451545)
}
