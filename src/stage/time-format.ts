import { ConfigError } from '../core/errors.ts'
import { typeTest } from './value-types.ts'

/** Reads a text by a format; the date or timestamp in ISO 8601, null for text of another form or a day there is not. */
export type TimeReader = (text: string) => string | null

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** What a token stands for, as a group of a regular expression. */
const TOKENS: Readonly<Record<string, string>> = {
  yyyy: String.raw`(?<year>\d{4})`,
  yy: String.raw`(?<shortYear>\d{2})`,
  MMM: `(?<monthName>${MONTHS.join('|')})`,
  MM: String.raw`(?<month>\d{2})`,
  M: String.raw`(?<month>\d{1,2})`,
  dd: String.raw`(?<day>\d{2})`,
  d: String.raw`(?<day>\d{1,2})`,
  HH: String.raw`(?<hour>\d{2})`,
  H: String.raw`(?<hour>\d{1,2})`,
  hh: String.raw`(?<halfHour>\d{2})`,
  h: String.raw`(?<halfHour>\d{1,2})`,
  mm: String.raw`(?<minute>\d{2})`,
  ss: String.raw`(?<second>\d{2})`,
  SSS: String.raw`(?<fraction>\d{1,6})`,
  a: '(?<half>am|pm)',
}

const PARTS = /yyyy|yy|MMM|MM|M|dd|d|HH|H|hh|h|mm|ss|SSS|a|'[^']*'|[a-zA-Z]+|./gs

/**
 * Compiles a format such as `dd/MM/yyyy HH:mm:ss`, in the letters of Unicode's date patterns.
 *
 * Shape:  yyyy yy (1969 to 2068), MM M MMM (Jan, in English), dd d, HH H, hh h with a (am, pm), mm, ss, SSS (up to six digits);
 *         other letters stand in single quotes.
 * Errors: CONFIG_BAD_VALUE for a format without year, month and day, or with letters of no meaning.
 * Source: https://www.unicode.org/reports/tr35/tr35-dates.html#Date_Field_Symbol_Table
 */
export function compileTimeFormat(format: string): TimeReader {
  const parts = [...format.matchAll(PARTS)].map(([part]) => part)
  const unknown = parts.find((part) => /^[a-z]+$/i.test(part) && !Object.hasOwn(TOKENS, part))
  if (unknown !== undefined)
    throw badFormat(format, `${JSON.stringify(unknown)} has no meaning in it`)
  const tokens = parts.filter((part) => Object.hasOwn(TOKENS, part))
  if (new Set(tokens.map((token) => TOKENS[token]!.slice(0, 8))).size < tokens.length) {
    throw badFormat(format, 'it names a part twice')
  }
  for (const [what, letter] of [
    ['year', 'y'],
    ['month', 'M'],
    ['day', 'd'],
  ] as const) {
    if (!tokens.some((token) => token.startsWith(letter)))
      throw badFormat(format, `it has no ${what}`)
  }
  const pattern = parts.map((part) => TOKENS[part] ?? literal(part)).join('')
  const regex = new RegExp(`^${pattern}$`, 'i')
  const hasTime = /[Hhms]/.test(tokens.filter((token) => !token.startsWith('M')).join(''))
  const isDate = typeTest('date')!
  const isTimestamp = typeTest('timestamp')!
  return (text) => {
    const groups = regex.exec(text)?.groups
    if (groups === undefined) return null
    const date = dateOf(groups)
    if (!hasTime) return isDate(date) ? date : null
    const timestamp = `${date} ${timeOf(groups)}`
    return isTimestamp(timestamp) ? timestamp : null
  }
}

type Groups = Readonly<Record<string, string | undefined>>

function dateOf({ year, shortYear, month, monthName, day }: Groups): string {
  const short = Number(shortYear)
  const whole = year ?? String(short < 69 ? 2000 + short : 1900 + short)
  const number = month ?? String(MONTHS.indexOf(monthName?.toLowerCase() ?? '') + 1)
  return `${whole}-${number.padStart(2, '0')}-${day?.padStart(2, '0') ?? ''}`
}

function timeOf({ hour, halfHour, half, minute = '00', second = '00', fraction }: Groups): string {
  const afternoon = half?.toLowerCase() === 'pm' ? 12 : 0
  const whole = hour ?? (halfHour === undefined ? '00' : hourOf(Number(halfHour), afternoon))
  const rest = fraction === undefined ? '' : `.${fraction}`
  return `${whole.padStart(2, '0')}:${minute}:${second}${rest}`
}

/** 12 am is midnight, 12 pm noon; an hour that no clock of twelve shows is none. */
function hourOf(half: number, afternoon: number): string {
  return half < 1 || half > 12 ? '99' : String((half % 12) + afternoon)
}

function literal(part: string): string {
  const text = /^'[^']*'$/s.test(part) ? part.slice(1, -1) || "'" : part
  return text.replace(/[\\^$.|?*+()[\]{}/-]/g, '\\$&')
}

function badFormat(format: string, what: string): ConfigError {
  const message = `${JSON.stringify(format)} is no format of a date: ${what}`
  return new ConfigError('CONFIG_BAD_VALUE', message, {
    hint: "as in 'dd/MM/yyyy' or 'M/d/yy h:mm a'",
  })
}
