import { type Chunk, countRows } from '../chunk/chunk.ts'
import { BadText, type Column } from '../chunk/column.ts'
import { type ColumnInfo, RowReader } from '../chunk/row-reader.ts'
import type { Result, Row } from '../chunk/value.ts'
import { ConfigError } from '../core/errors.ts'
import { columnNamed } from './columns.ts'
import { compareWith } from './compare.ts'
import { failRow, withoutFailed } from './fail-row.ts'
import { compilePattern, type PatternSource, patternSource } from './pattern.ts'
import type { BoundStage, Stage, StageReport } from './stage.ts'
import { typeTest } from './value-types.ts'

/** What the values of a column must be. All but `required` hold for NULL. */
export interface Rules {
  /** Not NULL. */
  readonly required?: boolean | undefined
  /** In the order that the column's type has; a constant of the type, as text where a number would lose digits. */
  readonly min?: number | bigint | string | undefined
  readonly max?: number | bigint | string | undefined
  /** Characters of the text: as many, or [least, most]. */
  readonly length?: number | readonly [number, number] | undefined
  /** Found in the text; in linear time, so without backreferences and look-around. */
  readonly pattern?: string | RegExp | undefined
  /** Equal, as text, to one of these. */
  readonly in?: readonly (string | number | bigint | boolean)[] | undefined
  /** A value of this type, in its ISO form: for columns of text. */
  readonly type?: string | undefined
}

/** A validator of any library that follows https://standardschema.dev, such as zod. */
export interface StandardSchema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => unknown
  }
}

/**
 * Makes rows that break a rule failures, which stop the load; the others pass untouched.
 *
 * Shape:  rules by column, `validate({ fare: { required: true, min: 0 } })`, or a schema that is given the row. What a schema
 *         makes of the row is not used: map() is for that. The first rule that a row breaks is named. That a schema was
 *         changed is noticed between the runs of a job only when it stands in a module that --stage names.
 * Errors: CONFIG_UNKNOWN_COLUMN; CONFIG_BAD_VALUE for a rule that cannot be used.
 */
export function validate<In extends object = Row>(
  rules: Readonly<Record<string, Rules>> | StandardSchema,
): Stage<In, In> {
  return isSchema(rules) ? validateSchema<In>(rules) : validateRules<In>(rules)
}

function isSchema(rules: object): rules is StandardSchema {
  return '~standard' in rules
}

/** Rules as plain data. */
type PlainRules = Omit<Rules, 'pattern'> & {
  readonly pattern?: PatternSource | string | RegExp | undefined
}

function validateRules<In extends object>(
  rules: Readonly<Record<string, PlainRules>>,
): Stage<In, In> {
  const options = Object.entries(rules).map(([column, one]): [string, PlainRules] => [
    column,
    one.pattern === undefined ? one : { ...one, pattern: plainPattern(one.pattern) },
  ])
  const wire = Object.fromEntries(options)
  const identity: unknown = JSON.parse(
    JSON.stringify(options, (_, value: unknown) =>
      typeof value === 'bigint' ? `${String(value)}n` : value,
    ),
  )
  return {
    name: 'validate',
    identity,
    wire: { stage: 'validate', options: wire },
    bind: (columns) => bindRules(columns, options),
  }
}

function plainPattern(pattern: PatternSource | string | RegExp): PatternSource {
  const isPlain = typeof pattern === 'object' && !(pattern instanceof RegExp)
  return isPlain ? pattern : patternSource(pattern)
}

/** What is wrong with a value, null for nothing. */
type Check = (value: Result) => string | null

function bindRules(
  columns: readonly ColumnInfo[],
  rules: readonly (readonly [string, PlainRules])[],
): BoundStage {
  const bound = rules.map(([name, one]) => {
    const { slot, type } = columnNamed(columns, name, 'validate')
    return { name, slot, rules: one, checks: checksOf(name, type ?? 'text', one) }
  })
  return {
    columns,
    async open() {
      for (const { rules: one, checks } of bound) {
        if (one.pattern === undefined) continue
        const found = await compilePattern(plainPattern(one.pattern))
        checks.push((value) => (found(textOf(value)) ? null : 'does not match the pattern'))
      }
    },
    // Column by column: each loop sees one kind of value and few checks, 0.6 of the time of a loop over rows.
    apply(chunk, report) {
      for (const { name, slot, rules: one, checks } of bound) {
        const column = chunk.columns[slot]!
        if (one.required === true) requireValues(chunk, column, name, report)
        if (checks.length > 0) checkValues(chunk, column, name, checks, report)
      }
      return withoutFailed(chunk, report)
    },
  }
}

function requireValues(chunk: Chunk, column: Column, name: string, report: StageReport): void {
  const { selection } = chunk
  const count = countRows(chunk)
  for (let i = 0; i < count; i++) {
    const row = selection === null ? i : selection[i]!
    if (column.isNull(row)) failRule(report, row, name, 'is NULL, and required')
  }
}

function checkValues(
  chunk: Chunk,
  column: Column,
  name: string,
  checks: readonly Check[],
  report: StageReport,
): void {
  const { selection } = chunk
  const count = countRows(chunk)
  for (let i = 0; i < count; i++) {
    const row = selection === null ? i : selection[i]!
    try {
      const value = column.value(row)
      if (value == null) continue
      for (const check of checks) {
        const reason = check(value)
        if (reason !== null) failRule(report, row, name, reason)
      }
    } catch (error) {
      if (!(error instanceof BadText)) throw error
      failRule(report, row, name, error.message)
    }
  }
}

function failRule(report: StageReport, row: number, column: string, reason: string): void {
  report.fail({ row, code: 'STAGE_INVALID', reason, columns: [column] })
}

function checksOf(column: string, type: string, rules: PlainRules): Check[] {
  const checks: Check[] = []
  const { min, max, length } = rules
  if (rules.type !== undefined) {
    const test = typeTest(rules.type)
    if (test === null)
      throw badRule(column, `type ${rules.type} is not one that text is checked for`)
    const reason = `is no ${rules.type}`
    checks.push((value) => (test(textOf(value)) ? null : reason))
  }
  if (min !== undefined || max !== undefined) checks.push(rangeCheck(type, min, max))
  if (length !== undefined) {
    const [least, most] = typeof length === 'number' ? [length, length] : length
    checks.push((value) => lengthReason(textOf(value), least, most))
  }
  if (rules.in !== undefined) {
    const set = new Set(rules.in.map(String))
    checks.push((value) => (set.has(textOf(value)) ? null : 'is none of the values allowed'))
  }
  return checks
}

function rangeCheck(type: string, min: Rules['min'], max: Rules['max']): Check {
  const least = min === undefined ? null : compareWith(type, String(min))
  const most = max === undefined ? null : compareWith(type, String(max))
  const isNumber = NUMBERS.has(type)
  const [from, to] = [nearNumber(min, -Infinity), nearNumber(max, Infinity)]
  return (value) => {
    // Nearly every value is well within: as a number, which text of a decimal this short is without a loss.
    if (isNumber && (typeof value === 'number' || isShort(value))) {
      const number = Number(value)
      if (number > from && number < to) return null
    }
    if (least !== null && least(value) < 0) return `is less than ${String(min)}`
    return most !== null && most(value) > 0 ? `is more than ${String(max)}` : null
  }
}

const NUMBERS = new Set(['int2', 'int4', 'float4', 'float8', 'numeric'])

function isShort(value: Result): boolean {
  return typeof value === 'string' && value.length <= 15
}

/** A bound as a number; NaN, which nothing is beyond, for one that a double does not hold. */
function nearNumber(bound: Rules['min'], none: number): number {
  if (bound === undefined) return none
  return typeof bound === 'number' || isShort(String(bound)) ? Number(bound) : NaN
}

/** Of characters, as PostgreSQL counts them. */
function lengthReason(text: string, least: number, most: number): string | null {
  const units = text.length
  // Each character is one or two units of a string: only between is there something to count.
  if (units >= least * 2 && units <= most) return null
  const length = [...text].length
  return length >= least && length <= most
    ? null
    : `has ${String(length)} characters, expected ${String(least)} to ${String(most)}`
}

function textOf(value: Result): string {
  return typeof value === 'string' ? value : String(value)
}

function badRule(column: string, what: string): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `validate, column ${JSON.stringify(column)}: ${what}`)
}

function validateSchema<In extends object>(schema: StandardSchema): Stage<In, In> {
  const { vendor, validate: run } = schema['~standard']
  return {
    name: 'validate',
    // What a schema of another library checks cannot be seen from here.
    identity: ['schema', vendor],
    wire: null,
    bind(columns) {
      const reader = new RowReader(columns)
      return {
        columns,
        apply(chunk, report) {
          reader.enter(chunk)
          const { selection } = chunk
          const count = countRows(chunk)
          for (let i = 0; i < count; i++) {
            const row = selection === null ? i : selection[i]!
            try {
              reportIssues(run({ ...reader.at(row) }), row, report)
            } catch (error) {
              failRow(report, row, reader, error)
            }
          }
          return withoutFailed(chunk, report)
        },
      }
    },
  }
}

/** The issues' messages are left out: some libraries put the value into them. They are in the failure's cause. */
function reportIssues(result: unknown, row: number, report: StageReport): void {
  if (result instanceof Promise) throw new TypeError('the schema is asynchronous')
  const { issues } = result as { issues?: readonly { path?: readonly unknown[] }[] }
  if (issues === undefined) return
  const columns = issues.flatMap(({ path }) => (path?.[0] === undefined ? [] : [keyOf(path[0])]))
  const reason = 'the schema refuses the row'
  report.fail({ row, code: 'STAGE_INVALID', reason, columns, cause: { issues } })
}

function keyOf(segment: unknown): string {
  const key =
    typeof segment === 'object' && segment !== null && 'key' in segment ? segment.key : segment
  return String(key)
}
