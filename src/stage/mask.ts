import { createHmac } from 'node:crypto'
import { countRows } from '../chunk/chunk.ts'
import { ValueColumn } from '../chunk/column.ts'
import type { Result, Row } from '../chunk/value.ts'
import { ConfigError } from '../core/errors.ts'
import { columnNamed, putColumn } from './columns.ts'
import { failRow, withoutFailed } from './fail-row.ts'
import type { Stage } from './stage.ts'

/**
 * How a column is masked: 'redact' puts `***` in place of every value; `hash` gives HMAC-SHA-256 with a key, as 64
 * hexadecimal digits, equal for equal values; `keep` leaves so many characters from the start.
 */
export type Mask = 'redact' | { readonly hash: string } | { readonly keep: number }

/** A key that can be guessed is no protection. */
const SHORTEST_KEY = 16

/**
 * Hides the values of columns; NULL stays NULL, and the columns become text.
 *
 * Errors: CONFIG_UNKNOWN_COLUMN; CONFIG_BAD_VALUE for a key under 16 bytes or a number of characters that is none.
 */
export function mask<
  In extends object = Row,
  const Masks extends Readonly<Record<string, Mask>> = Readonly<Record<string, Mask>>,
>(
  masks: Masks,
): Stage<In, Omit<In, keyof Masks> & { readonly [Name in keyof Masks]: string | null }> {
  const options = { ...masks }
  const masked = Object.entries(options).map(([name, how]) => ({ name, hide: hider(name, how) }))
  return {
    name: 'mask',
    identity: options,
    wire: { stage: 'mask', options },
    bind(input, newSlot) {
      const bound = masked.map(({ name, hide }) => ({
        hide,
        from: columnNamed(input, name, 'mask').slot,
        made: { name, type: 'text', slot: newSlot() },
      }))
      return {
        columns: bound.reduce((columns, { made }) => putColumn(columns, made), input),
        apply(chunk, report) {
          const { selection, rowCount } = chunk
          const count = countRows(chunk)
          const columns = [...chunk.columns]
          for (const { hide, from, made } of bound) {
            const given = chunk.columns[from]!
            const values = new Array<Result>(rowCount)
            for (let i = 0; i < count; i++) {
              const row = selection === null ? i : selection[i]!
              try {
                const value = given.value(row)
                values[row] = value == null ? null : hide(String(value))
              } catch (error) {
                failRow(report, row, { touched: () => [made.name] }, error)
              }
            }
            columns[made.slot] = new ValueColumn(values)
          }
          return withoutFailed({ ...chunk, columns }, report)
        },
      }
    },
  }
}

function hider(name: string, how: Mask): (text: string) => string {
  if (how === 'redact') return () => '***'
  if ('hash' in how) {
    const key = Buffer.from(how.hash)
    if (key.length < SHORTEST_KEY) {
      throw badMask(
        name,
        `a key of ${String(key.length)} bytes, expected at least ${String(SHORTEST_KEY)}`,
      )
    }
    return (text) => createHmac('sha256', key).update(text).digest('hex')
  }
  const { keep } = how
  if (!Number.isInteger(keep) || keep < 0) throw badMask(name, 'keep is no number of characters')
  return (text) => (text.length <= keep ? text : [...text].slice(0, keep).join(''))
}

function badMask(name: string, what: string): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `mask, column ${JSON.stringify(name)}: ${what}`)
}
