import { countRows } from '../chunk/chunk.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import type { Row } from '../chunk/value.ts'
import { columnNamed } from './columns.ts'
import { decimalOf } from './decimal.ts'
import { requireMemory } from './dedupe.ts'
import { withoutFailed } from './fail-row.ts'
import { KeyReader } from './keys/key-reader.ts'
import { type ColumnFacts, mergeColumn } from './quality/column-facts.ts'
import { measureColumn, type Measured } from './quality/column-measure.ts'
import { judgeRules, type QualityFacts } from './quality/judge.ts'
import { type Order, orderedOf } from './quality/ordered.ts'
import { aspectsOf, badRule, listRules, type QualityRules, type Rule } from './quality/rules.ts'
import type { BoundStage, Stage, StageReport } from './stage.ts'
import { plainTypeName } from './type-name.ts'

const MEBIBYTE = 1 << 20

export interface QualityOptions {
  /** Whether a broken rule ends the run as failed, the default, or is a warning. */
  readonly onFailure?: 'stop' | 'warn' | undefined
  /** Bytes that the keys of each `unique` may take in memory; 256 MiB by default. */
  readonly maxMemory?: number | undefined
}

/**
 * Judges all rows of a job together, at the end of its input: `quality({ rows: { min: 1000 }, nulls: { fare: 0.01 } })`.
 *
 * Shape:  rows pass untouched. What is found out about a range is kept with its claim, in its transaction; judged is the
 *         sum of all claims, of all lanes and all runs, before the input is marked complete. A completed job is not judged
 *         again. Sums of integers and numerics are exact. `unique` counts over all ranges, as dedupe does.
 *         A column whose type only its values tell is taken for numbers: before, cast() names another.
 *         Bounds are no part of the job: when a rule was broken, the same command with others judges again without
 *         loading. Which columns are measured is.
 * Errors: QUALITY_FAILED, naming every broken rule; the rows are committed by then. CONFIG_UNKNOWN_COLUMN, CONFIG_BAD_VALUE.
 *         STAGE_CAST for a value that is none of its column's type, STAGE_LIMIT as dedupe.
 */
export function quality<In extends object = Row>(
  rules: QualityRules<NoInfer<keyof In & string>>,
  options: QualityOptions = {},
): Stage<In, In> {
  const { onFailure = 'stop', maxMemory = 256 * MEBIBYTE } = options
  const list = listRules(rules)
  if (!['stop', 'warn'].includes(onFailure)) {
    throw badRule(`onFailure is ${JSON.stringify(onFailure)}, expected stop or warn`)
  }
  requireMemory('quality', maxMemory)
  const aspects = aspectsOf(list)
  const uniques = list.flatMap((rule) => (rule.type === 'unique' ? [rule.columns] : []))
  return {
    name: 'quality',
    identity: { columns: [...aspects].map(([name, of]) => [name, ...[...of].sort()]), uniques },
    wire: { stage: 'quality', options: { rules, options: { onFailure, maxMemory } } },
    keySets: uniques.map(() => ({ maxMemory })),
    measure: {
      onFailure,
      merge: (facts, more) => mergeFacts(facts as QualityFacts, more as QualityFacts),
      judge: (facts, now) => judgeRules(list, (facts ?? NOTHING) as QualityFacts, now),
    },
    bind(columns) {
      const measured = [...aspects].map(([name, of]): Measured => {
        const { slot, type } = columnNamed(columns, name, 'quality')
        const order = of.size === 0 ? 'number' : orderOf(name, type)
        return { name, slot, order, aspects: of }
      })
      for (const rule of list) requireBounds(rule, measured)
      const keys = uniques.map((names) =>
        names.map((name) => columnNamed(columns, name, 'quality')),
      )
      return bindQuality(columns, measured, keys, maxMemory)
    },
  }
}

const NOTHING: QualityFacts = { rows: 0, columns: {}, duplicates: [] }

function mergeFacts(a: QualityFacts, b: QualityFacts): QualityFacts {
  const names = Object.keys(b.columns)
  const columns = names.map((name) => [name, mergeColumn(a.columns[name]!, b.columns[name]!)])
  return {
    rows: a.rows + b.rows,
    columns: Object.fromEntries(columns) as QualityFacts['columns'],
    duplicates: b.duplicates.map((more, i) => (a.duplicates[i] ?? 0) + more),
  }
}

function bindQuality(
  columns: readonly ColumnInfo[],
  measured: readonly Measured[],
  keys: readonly (readonly ColumnInfo[])[],
  maxMemory: number,
): BoundStage {
  let readers: KeyReader[] = []
  return {
    columns,
    open({ types }) {
      const by = types === 'widening' ? 'text' : 'value'
      readers = keys.map((infos) => new KeyReader(infos, 'distinct', by))
      return Promise.resolve()
    },
    async apply(chunk, report) {
      const found = measured.map((one): [string, ColumnFacts] => [
        one.name,
        measureColumn(one, chunk, report),
      ])
      const duplicates: number[] = []
      for (const [set, reader] of readers.entries()) {
        const asked = reader.read(chunk, report)
        const names = keys[set]!.map(({ name }) => name)
        duplicates.push(await countDuplicates(set, asked, { report, names, maxMemory }))
      }
      const facts: QualityFacts = {
        rows: countRows(chunk),
        columns: Object.fromEntries(found),
        duplicates,
      }
      report.facts = facts
      return withoutFailed(chunk, report)
    },
  }
}

async function countDuplicates(
  set: number,
  { keys, rows }: ReturnType<KeyReader['read']>,
  about: {
    readonly report: StageReport
    readonly names: readonly string[]
    readonly maxMemory: number
  },
): Promise<number> {
  if (rows.length === 0) return 0
  const { report, names, maxMemory } = about
  const { firsts, full } = await report.firsts(set, keys)
  if (full >= 0) {
    const reason = `the keys before it take all of the ${String(maxMemory)} bytes that maxMemory allows`
    report.fail({ row: rows[full]!, code: 'STAGE_LIMIT', reason, columns: names })
  }
  return firsts.reduce((count, first) => count - first, firsts.length)
}

/** Errors: CONFIG_BAD_VALUE for a type whose values have no sum and no order that is certain. */
function orderOf(column: string, type: string | null): Order {
  const order = ORDERS[plainTypeName(type ?? 'numeric')]
  if (order !== undefined) return order
  throw badRule(
    `column ${JSON.stringify(column)} is of type ${type ?? 'text'}, expected numbers or times`,
  )
}

function requireBounds(rule: Rule, measured: readonly Measured[]): void {
  if (!('column' in rule)) return
  const { order } = measured.find(({ name }) => name === rule.column)!
  const name = `${rule.type}(${rule.column})`
  if (rule.type === 'sum') {
    if (order !== 'number') throw badRule(`${name}: a column of times has no sum`)
    for (const bound of [rule.min, rule.max]) {
      if (bound !== undefined && decimalOf(String(bound)) === null) throw badBound(name, bound)
    }
  }
  if (rule.type === 'min' || rule.type === 'max') {
    if (orderedOf(String(rule.bound), order) === null) throw badBound(name, rule.bound)
  }
  if (rule.type === 'fresh' && order === 'number') {
    throw badRule(`${name}: a column of numbers has no age`)
  }
}

function badBound(rule: string, bound: unknown): Error {
  return badRule(`${rule} is ${JSON.stringify(String(bound))}, which is no value of the column`)
}

const numbers =
  'int2 smallint int4 int integer int8 bigint numeric decimal float4 real float8 float'
const ORDERS: Readonly<Record<string, Order>> = {
  ...Object.fromEntries(numbers.split(' ').map((type) => [type, 'number' as const])),
  'double precision': 'number',
  date: 'time',
  timestamp: 'time',
  'timestamp without time zone': 'time',
  timestamptz: 'instant',
  'timestamp with time zone': 'instant',
}
