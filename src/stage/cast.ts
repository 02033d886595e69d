import { countRows } from '../chunk/chunk.ts'
import { ValueColumn } from '../chunk/column.ts'
import type { Result, Row } from '../chunk/value.ts'
import { ConfigError } from '../core/errors.ts'
import { columnNamed, putColumn } from './columns.ts'
import { withoutFailed } from './fail-row.ts'
import type { Stage } from './stage.ts'
import { compileTimeFormat } from './time-format.ts'
import { typeTest } from './value-types.ts'

/** How the text of a column is read. Steps in this order: trim, nullIf, then what the type needs. */
export interface Cast {
  /** Without spaces, tabs and line ends around it. */
  readonly trim?: boolean | undefined
  /** Texts that mean NULL, as 'N/A'. */
  readonly nullIf?: string | readonly string[] | undefined
  /** The type it becomes; the text must be a value of it. */
  readonly type?: string | undefined
  /** Of a date or timestamp, as `dd/MM/yyyy HH:mm`: see compileTimeFormat. */
  readonly format?: string | undefined
  /** Between whole and fraction of a number, `,` in `1.234,50`; a point by default, a comma where that parts thousands. */
  readonly decimal?: string | undefined
  /** Between thousands, left out: `.` in `1.234,50`. */
  readonly group?: string | undefined
  /** Words for true and false, in any case; those of PostgreSQL by default. */
  readonly true?: readonly string[] | undefined
  readonly false?: readonly string[] | undefined
}

/**
 * Reads columns in other forms than PostgreSQL does: dates by a pattern, decimals with a comma, words for true and false.
 *
 * Shape:  `cast({ day: { type: 'date', format: 'dd/MM/yyyy' }, price: { type: 'numeric', decimal: ',', group: '.' } })`.
 *         NULL stays NULL. A text that is none of the type makes the row a failure.
 * Errors: CONFIG_UNKNOWN_COLUMN; CONFIG_BAD_VALUE for a rule that cannot be used.
 */
export function cast<
  In extends object = Row,
  const Casts extends Readonly<Record<string, Cast>> = Readonly<Record<string, Cast>>,
>(casts: Casts): Stage<In, Omit<In, keyof Casts> & { readonly [Name in keyof Casts]: Result }> {
  const options = { ...casts }
  const readers = Object.entries(options).map(([name, rule]) => ({
    name,
    type: rule.type ?? null,
    read: readerOf(name, rule),
  }))
  return {
    name: 'cast',
    identity: options,
    wire: { stage: 'cast', options },
    bind(input, newSlot) {
      const bound = readers.map(({ name, type, read }) => {
        const from = columnNamed(input, name, 'cast')
        return { read, from: from.slot, made: { name, type: type ?? from.type, slot: newSlot() } }
      })
      return {
        columns: bound.reduce((columns, { made }) => putColumn(columns, made), input),
        apply(chunk, report) {
          const { selection, rowCount } = chunk
          const count = countRows(chunk)
          const columns = [...chunk.columns]
          for (const { read, from, made } of bound) {
            const given = chunk.columns[from]!
            const values = new Array<Result>(rowCount)
            for (let i = 0; i < count; i++) {
              const row = selection === null ? i : selection[i]!
              const text = given.text(row)
              const value = text === null ? null : read(text)
              if (value === undefined) {
                const what = made.type === null ? 'cannot be read' : `is no ${made.type}`
                const reason = `its text of ${String(text!.length)} characters ${what}`
                report.fail({ row, code: 'STAGE_CAST', reason, columns: [made.name] })
              }
              values[row] = value
            }
            columns[made.slot] = new ValueColumn(values)
          }
          return withoutFailed({ ...chunk, columns }, report)
        },
      }
    },
  }
}

/** The value of a text; undefined for one that has none. */
type Read = (text: string) => Result

function readerOf(name: string, rule: Cast): Read {
  const nulls = new Set(typeof rule.nullIf === 'string' ? [rule.nullIf] : rule.nullIf)
  const read = typeReader(name, rule)
  return (given) => {
    const text = rule.trim === true ? given.trim() : given
    return nulls.has(text) ? null : read(text)
  }
}

function typeReader(name: string, rule: Cast): Read {
  const { type, format, decimal, group } = rule
  if (format !== undefined) {
    const reader = compileTimeFormat(format)
    return (text) => reader(text) ?? undefined
  }
  if (rule.true !== undefined || rule.false !== undefined) return wordReader(rule)
  if (decimal !== undefined || group !== undefined) return numberReader(name, rule)
  if (type === undefined) return (text) => text
  const test = typeTest(plainType(type))
  return test === null ? (text) => text : (text) => (test(text) ? text : undefined)
}

function wordReader(rule: Cast): Read {
  const words = new Map<string, boolean>()
  for (const word of rule.true ?? ['t', 'true']) words.set(word.toLowerCase(), true)
  for (const word of rule.false ?? ['f', 'false']) words.set(word.toLowerCase(), false)
  return (text) => words.get(text.toLowerCase())
}

function numberReader(name: string, rule: Cast): Read {
  const { type = 'numeric', group = '' } = rule
  const decimal = rule.decimal ?? (group === '.' ? ',' : '.')
  const test = typeTest(plainType(type))
  if (test === null || decimal.length !== 1 || group.length > 1 || decimal === group) {
    const message = `cast, column ${JSON.stringify(name)}: decimal and group are one character each, not the same, for a type of numbers`
    throw new ConfigError('CONFIG_BAD_VALUE', message)
  }
  return (text) => {
    if (decimal !== '.' && group !== '.' && text.includes('.')) return undefined
    const at = text.indexOf(decimal)
    const whole = at < 0 ? text : text.slice(0, at)
    // Groups are of three digits: 1,5 is not fifteen.
    if (group !== '' && whole.includes(group) && !isGrouped(whole, group)) return undefined
    const plain = group === '' ? whole : whole.replaceAll(group, '')
    const number = at < 0 ? plain : `${plain}.${text.slice(at + 1)}`
    return test(number) ? number : undefined
  }
}

function isGrouped(whole: string, group: string): boolean {
  const [first = '', ...others] = whole.split(group)
  return /^[+-]?\d{1,3}$/.test(first) && others.every((one) => /^\d{3}$/.test(one))
}

/** Without its modifiers: numeric(12,2) is numeric. */
function plainType(type: string): string {
  return type.replace(/\s*\([^)]*\)/, '').trim()
}
