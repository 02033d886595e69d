import { createHash } from 'node:crypto'
import { countRows } from '../chunk/chunk.ts'
import { ValueColumn } from '../chunk/column.ts'
import type { Result, Row } from '../chunk/value.ts'
import { columnNamed, putColumn } from './columns.ts'
import { failRow, withoutFailed } from './fail-row.ts'
import type { Stage } from './stage.ts'
import { textOf } from './text-of.ts'

/**
 * Adds a column with a hash of other columns: equal for equal values, on every machine and in every run.
 *
 * Shape:  `hash('row_hash', ['id', 'name'])`: SHA-256, as 64 hexadecimal digits, of the columns in the order given, each as
 *         a byte 0 for NULL, else a byte 1, the length of its text in UTF-8 (4 bytes, the highest first), and the text. The
 *         text of a number, bigint or boolean is JavaScript's, of a bytea its `\x` form, of anything else as stages see it:
 *         numeric 1.5 and 1.50 are two values.
 * Errors: CONFIG_UNKNOWN_COLUMN.
 */
export function hash<In extends object = Row, Name extends string = string>(
  name: Name,
  columns: readonly (keyof In & string)[],
): Stage<In, Omit<In, Name> & { readonly [N in Name]: string }> {
  const options = { name, columns: [...columns] }
  return {
    name: 'hash',
    identity: options,
    wire: { stage: 'hash', options },
    bind(input, newSlot) {
      const slots = columns.map((column) => columnNamed(input, column, 'hash').slot)
      const made = { name, type: 'text', slot: newSlot() }
      return {
        columns: putColumn(input, made),
        apply(chunk, report) {
          const { selection, rowCount } = chunk
          const count = countRows(chunk)
          const given = slots.map((slot) => chunk.columns[slot]!)
          const values = new Array<Result>(rowCount)
          for (let i = 0; i < count; i++) {
            const row = selection === null ? i : selection[i]!
            try {
              const digest = createHash('sha256')
              for (const column of given) digest.update(encoded(column.value(row)))
              values[row] = digest.digest('hex')
            } catch (error) {
              failRow(report, row, { touched: () => options.columns }, error)
            }
          }
          const result = [...chunk.columns]
          result[made.slot] = new ValueColumn(values)
          return withoutFailed({ ...chunk, columns: result }, report)
        },
      }
    },
  }
}

const NULL = Buffer.of(0)

function encoded(value: Result): Buffer {
  if (value == null) return NULL
  const text = Buffer.from(textOf(value))
  const head = Buffer.alloc(5)
  head[0] = 1
  head.writeUInt32BE(text.length, 1)
  return Buffer.concat([head, text])
}
