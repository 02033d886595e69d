import { expect } from 'vitest'
import type { TestDatabase } from './database.ts'
import { randomFrom } from './random.ts'

/** Rows of which many have the same key. */
export interface Duplicates {
  /** n, which is the number of the row, k and pad; with a header. */
  readonly csv: string
  /** Of the rows that are the first of their key, the numbers. */
  readonly firsts: readonly number[]
}

/**
 * Makes rows with about a third of them first ones: keys come again within a few rows, within a chunk, and from one end of
 * the file to the other; some are NULL.
 */
export function duplicateRows(rows: number, seed: number, padding = 20): Duplicates {
  const random = randomFrom(seed)
  const lines: string[] = []
  const known = new Set<string>()
  const firsts: number[] = []
  for (let n = 1; n <= rows; n++) {
    const u = random()
    const near = n - Math.floor(random() * 40)
    const key =
      u < 0.01 ? '' : u < 0.4 ? `k${String(near)}` : `k${String(Math.floor(random() * rows * 0.4))}`
    if (key === '' || !known.has(key)) firsts.push(n)
    known.add(key)
    lines.push(`${String(n)},${key},${'x'.repeat(1 + Math.floor(random() * padding))}\n`)
  }
  return { csv: `n,k,pad\n${lines.join('')}`, firsts }
}

/** Expects the first row of each key in a table, once, and nothing else; and claims that know as many. */
export async function expectFirsts(
  db: TestDatabase,
  table: string,
  { firsts }: Duplicates,
): Promise<void> {
  const rows = await db.query<{ n: number }>(`select n::int as n from ${table} order by n::int`)
  const found = rows.map(({ n }) => n)
  if (found.length === firsts.length && found.every((n, i) => n === firsts[i])) return
  const [expected, given] = [new Set(firsts), new Set(found)]
  const missing = firsts.filter((n) => !given.has(n))
  const others = found.filter((n) => !expected.has(n))
  const twice = found.length - given.size
  expect({ missing: missing.slice(0, 10), others: others.slice(0, 10), twice }).toEqual({
    missing: [],
    others: [],
    twice: 0,
  })
}
