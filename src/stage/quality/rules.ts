import { ConfigError } from '../../core/errors.ts'
import type { Aspect } from './column-measure.ts'

/** A number, or a time as text in its ISO form; a number as text where a double would lose digits. */
export type Bound = number | bigint | string

/** What the rows of a job must be like, all together. */
export interface QualityRules<Name extends string = string> {
  /** How many there are. */
  readonly rows?: { readonly min?: number; readonly max?: number } | undefined
  /** The share of NULLs in a column, at most: 0.01 is 1 %. */
  readonly nulls?: { readonly [N in Name]?: number } | undefined
  /** The sum of a column of numbers. */
  readonly sum?:
    { readonly [N in Name]?: { readonly min?: Bound; readonly max?: Bound } } | undefined
  /** What the least value of a column must not be below. */
  readonly min?: { readonly [N in Name]?: Bound } | undefined
  /** What the greatest value of a column must not be above. */
  readonly max?: { readonly [N in Name]?: Bound } | undefined
  /** Columns, or lists of them, that no two rows have the same values in; rows with a NULL there are not looked at. */
  readonly unique?: readonly (Name | readonly Name[])[] | undefined
  /**
   * How old the newest value of a column of dates or times may be: `30m`, `24h`, `7d`. A date counts from its beginning, a
   * timestamp without a zone as UTC.
   */
  readonly fresh?: { readonly [N in Name]?: string } | undefined
}

/** What one rule looks at. */
export type Rule =
  | { readonly type: 'rows'; readonly min: number | undefined; readonly max: number | undefined }
  | { readonly type: 'nulls'; readonly column: string; readonly most: number }
  | {
      readonly type: 'sum'
      readonly column: string
      readonly min: Bound | undefined
      readonly max: Bound | undefined
    }
  | { readonly type: 'min' | 'max'; readonly column: string; readonly bound: Bound }
  | { readonly type: 'fresh'; readonly column: string; readonly within: string }
  | { readonly type: 'unique'; readonly columns: readonly string[] }

/** The rules one by one. Errors: CONFIG_BAD_VALUE. */
export function listRules(rules: QualityRules): Rule[] {
  const list: Rule[] = []
  if (rules.rows !== undefined) {
    const { min, max } = rules.rows
    for (const bound of [min, max]) if (bound !== undefined) requireShare('rows', bound, Infinity)
    list.push({ type: 'rows', min, max })
  }
  for (const [column, most] of entriesOf(rules.nulls)) {
    requireShare(`nulls(${column})`, most, 1)
    list.push({ type: 'nulls', column, most })
  }
  for (const [column, { min, max }] of entriesOf(rules.sum)) {
    list.push({ type: 'sum', column, min, max })
  }
  for (const [column, bound] of entriesOf(rules.min)) list.push({ type: 'min', column, bound })
  for (const [column, bound] of entriesOf(rules.max)) list.push({ type: 'max', column, bound })
  for (const key of rules.unique ?? []) {
    const columns = typeof key === 'string' ? [key] : [...key]
    if (columns.length === 0) throw badRule('unique names no column')
    list.push({ type: 'unique', columns })
  }
  for (const [column, within] of entriesOf(rules.fresh)) {
    millisecondsOf(column, within)
    list.push({ type: 'fresh', column, within })
  }
  if (list.length === 0) throw badRule('there is no rule')
  return list
}

/** By column, what its rules have to know. */
export function aspectsOf(rules: readonly Rule[]): ReadonlyMap<string, ReadonlySet<Aspect>> {
  const found = new Map<string, Set<Aspect>>()
  for (const rule of rules) {
    if (!('column' in rule)) continue
    const aspects = found.get(rule.column) ?? new Set<Aspect>()
    found.set(rule.column, aspects)
    const aspect = ASPECTS[rule.type]
    if (aspect !== null) aspects.add(aspect)
  }
  return found
}

const ASPECTS: Readonly<Record<'nulls' | 'sum' | 'min' | 'max' | 'fresh', Aspect | null>> = {
  nulls: null,
  sum: 'sum',
  min: 'least',
  max: 'greatest',
  fresh: 'greatest',
}

/** A duration such as 24h. Errors: CONFIG_BAD_VALUE. */
export function millisecondsOf(column: string, duration: string): number {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(duration) ?? []
  if (count === undefined) {
    throw badRule(`fresh(${column}) is ${JSON.stringify(duration)}, expected such as 30m, 24h, 7d`)
  }
  return Number(count) * UNITS[unit]!
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

export function badRule(what: string): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `quality: ${what}`)
}

function entriesOf<T>(given: Readonly<Record<string, T | undefined>> | undefined): [string, T][] {
  return Object.entries(given ?? {}).flatMap(([name, one]) =>
    one === undefined ? [] : [[name, one]],
  )
}

function requireShare(rule: string, value: number, most: number): void {
  if (typeof value === 'number' && value >= 0 && value <= most) return
  throw badRule(`${rule} is ${String(value)}, expected 0 to ${String(most)}`)
}
