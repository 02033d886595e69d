import { compareDecimals, decimalOf } from '../decimal.ts'
import { type ColumnFacts, type ExtremeFacts, orderedFact, type SumFacts } from './column-facts.ts'
import type { Finding } from './finding.ts'
import { compareOrdered, orderedOf } from './ordered.ts'
import { type Bound, millisecondsOf, type Rule } from './rules.ts'

/** What is found out about the rows of a range, or of a job; as JSON. */
export interface QualityFacts {
  readonly rows: number
  readonly columns: Readonly<Record<string, ColumnFacts>>
  /** By rule of type unique, the rows that were not the first of their key. */
  readonly duplicates: readonly number[]
}

/** Judges the rules by the facts of all rows. */
export function judgeRules(
  rules: readonly Rule[],
  facts: QualityFacts,
  now: Date,
): readonly Finding[] {
  let unique = 0
  return rules.map((rule) => {
    switch (rule.type) {
      case 'rows':
        return between('rows', facts.rows, rule, String(facts.rows))
      case 'nulls':
        return judgeNulls(rule.column, rule.most, facts)
      case 'sum':
        return judgeSum(rule, facts.columns[rule.column]?.sum ?? { exact: '0' })
      case 'min':
        return judgeExtreme(rule, facts.columns[rule.column]?.least)
      case 'max':
        return judgeExtreme(rule, facts.columns[rule.column]?.greatest)
      case 'fresh':
        return judgeFresh(rule.column, rule.within, facts.columns[rule.column]?.greatest, now)
      case 'unique': {
        const duplicates = facts.duplicates[unique++] ?? 0
        const some = duplicates === 1 ? '1 duplicate' : `${String(duplicates)} duplicates`
        const got = duplicates === 0 ? 'no duplicate' : some
        const name = `unique(${rule.columns.join(', ')})`
        return { rule: name, expected: 'no duplicate', got, passed: duplicates === 0 }
      }
    }
  })
}

function judgeNulls(column: string, most: number, { rows, columns }: QualityFacts): Finding {
  const nulls = columns[column]?.nulls ?? 0
  return {
    rule: `nulls(${column})`,
    expected: `at most ${percent(most)}`,
    got: `${percent(rows === 0 ? 0 : nulls / rows)}, ${String(nulls)} of ${String(rows)} rows`,
    passed: nulls <= most * rows,
  }
}

function percent(share: number): string {
  return `${String(Number((share * 100).toPrecision(4)))} %`
}

interface Between {
  readonly min: Bound | undefined
  readonly max: Bound | undefined
}

function judgeSum(rule: Between & { readonly column: string }, sum: SumFacts): Finding {
  const name = `sum(${rule.column})`
  if (sum.double === undefined) return between(name, sum.exact, rule, sum.exact)
  const total = Number(sum.exact) + Number(sum.double)
  return between(name, total, rule, String(total))
}

function between(
  name: string,
  value: number | string,
  { min, max }: Between,
  got: string,
): Finding {
  const expected = [
    ...(min === undefined ? [] : [`at least ${String(min)}`]),
    ...(max === undefined ? [] : [`at most ${String(max)}`]),
  ].join(' and ')
  const within = (bound: Bound | undefined, sign: 1 | -1): boolean =>
    bound === undefined || compareSums(value, bound) * sign >= 0
  return { rule: name, expected, got, passed: within(min, 1) && within(max, -1) }
}

/** NaN, which is within no bounds, where one of them is. */
function compareSums(value: number | string, bound: Bound): number {
  const [a, b] = [decimalOf(String(value)), decimalOf(String(bound))]
  if (a !== null && b !== null) return compareDecimals(a, b)
  return Math.sign(Number(value) - Number(bound))
}

/** Says on which side of the bound it is, not what it is: the least value is the value of a row. */
function judgeExtreme(
  { type, column, bound }: Extract<Rule, { readonly type: 'min' | 'max' }>,
  found: ExtremeFacts | undefined,
): Finding {
  const rule = `${type}(${column})`
  const expected = `at ${type === 'min' ? 'least' : 'most'} ${String(bound)}`
  if (found === undefined || found.text === null) {
    return { rule, expected, got: 'no value', passed: true }
  }
  const limit = orderedOf(typeof bound === 'string' ? bound : String(bound), found.order)
  const compared = limit === null ? NaN : compareOrdered(orderedFact(found), limit, found.order)
  const passed = type === 'min' ? compared >= 0 : compared <= 0
  const beyond = type === 'min' ? 'a value below' : 'a value above'
  return { rule, expected, got: passed ? 'no value beyond' : beyond, passed }
}

function judgeFresh(
  column: string,
  within: string,
  newest: ExtremeFacts | undefined,
  now: Date,
): Finding {
  const rule = `fresh(${column})`
  const expected = `not older than ${within}`
  const text = newest?.text ?? null
  if (text === null) return { rule, expected, got: 'no value', passed: false }
  const moment =
    newest?.order === 'instant' ? Number(text) / 1000 : Date.parse(`${text.replace(' ', 'T')}Z`)
  const passed = now.getTime() - moment <= millisecondsOf(column, within)
  return { rule, expected, got: passed ? 'newer' : 'older', passed }
}
