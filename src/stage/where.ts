import { BadText } from '../chunk/column.ts'
import type { Result, Row } from '../chunk/value.ts'
import { ConfigError } from '../core/errors.ts'
import { columnNamed } from './columns.ts'
import { compareWith } from './compare.ts'
import { keepRows } from './keep-rows.ts'
import type { Stage } from './stage.ts'

/** A comparison of a column with a constant. */
export interface Condition {
  readonly column: string
  readonly operator: Operator
  /** As text, in the form that the column's type has; '' for the operators that look for NULL. */
  readonly value: string
}

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'is null' | 'is not null'

/**
 * Keeps the rows for which a condition holds, as SQL has it: no comparison with NULL ever does.
 *
 * Shape:  `where('fare >= 10')`, `where('"trip id" = 7')`, `where("city != 'Rome'")`, `where('paid_at is null')`.
 * Errors: CONFIG_BAD_VALUE for what is no condition, and for a value that is none of the column's type.
 */
export function where<In extends object = Row>(condition: string | Condition): Stage<In, In> {
  const options = typeof condition === 'string' ? parseCondition(condition) : condition
  const { column: name } = options
  return {
    name: 'where',
    identity: options,
    wire: { stage: 'where', options },
    bind(columns) {
      const { slot, type } = columnNamed(columns, name, 'where')
      const holds = predicate(options, type ?? 'text')
      return {
        columns,
        apply(chunk, report) {
          const column = chunk.columns[slot]!
          return keepRows(
            chunk,
            (row) => holds(column.value(row)),
            (row, cause) => {
              if (!(cause instanceof BadText)) throw cause
              const reason = `${cause.message} that can be compared`
              report.fail({ row, code: 'STAGE_CAST', reason, columns: [name] })
            },
          )
        },
      }
    },
  }
}

function predicate({ operator, value: constant }: Condition, type: string): (v: Result) => boolean {
  if (operator === 'is null') return (value) => value == null
  if (operator === 'is not null') return (value) => value != null
  const compare = compareWith(type, constant)
  switch (operator) {
    case '=':
      return (value) => value != null && compare(value) === 0
    case '!=':
      return (value) => value != null && compare(value) !== 0
    case '<':
      return (value) => value != null && compare(value) < 0
    case '<=':
      return (value) => value != null && compare(value) <= 0
    case '>':
      return (value) => value != null && compare(value) > 0
    case '>=':
      return (value) => value != null && compare(value) >= 0
  }
}

const CONDITION =
  /^\s*(?:"((?:[^"]|"")+)"|([^\s"'<>=!]+))\s*(?:(<=|>=|<>|!=|=|<|>)\s*(?:'((?:[^']|'')*)'|([^\s'].*?))|(is\s+null)|(is\s+not\s+null))\s*$/is

/** Errors: CONFIG_BAD_VALUE. */
function parseCondition(text: string): Condition {
  const parts = CONDITION.exec(text)
  if (parts === null) {
    const message = `${JSON.stringify(text)} is no condition`
    throw new ConfigError('CONFIG_BAD_VALUE', message, {
      hint: "a column, an operator (= != < <= > >=) and a value, as in 'fare >= 10'; or 'paid_at is null'",
    })
  }
  const [, quoted, bare, operator, literal, plain, isNull] = parts
  const column = quoted?.replaceAll('""', '"') ?? bare ?? ''
  if (operator === undefined) {
    return { column, operator: isNull === undefined ? 'is not null' : 'is null', value: '' }
  }
  const value = literal?.replaceAll("''", "'") ?? plain ?? ''
  return { column, operator: operator === '<>' ? '!=' : (operator as Operator), value }
}
