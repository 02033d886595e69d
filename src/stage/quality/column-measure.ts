import type { Chunk } from '../../chunk/chunk.ts'
import { countRows } from '../../chunk/chunk.ts'
import { BadText } from '../../chunk/column.ts'
import type { Result } from '../../chunk/value.ts'
import { decimalText } from '../decimal.ts'
import type { StageReport } from '../stage.ts'
import { type ColumnFacts, doubleFact } from './column-facts.ts'
import { ExactSum } from './exact-sum.ts'
import { compareOrdered, type Order, type Ordered, orderedOf } from './ordered.ts'

/** What is asked of a column beside its NULLs. */
export type Aspect = 'sum' | 'least' | 'greatest'

/** A column, and what is asked of it. */
export interface Measured {
  readonly name: string
  readonly slot: number
  readonly order: Order
  readonly aspects: ReadonlySet<Aspect>
}

/** Finds out about the values of a column in a chunk. A value that is none of the column's type is a failure of its row. */
export function measureColumn(measured: Measured, chunk: Chunk, report: StageReport): ColumnFacts {
  const { slot, name, order, aspects } = measured
  const column = chunk.columns[slot]!
  const { selection } = chunk
  const count = countRows(chunk)
  const sum = aspects.has('sum') ? new ColumnSum() : null
  const least = aspects.has('least') ? new Extreme(order, -1) : null
  const greatest = aspects.has('greatest') ? new Extreme(order, 1) : null
  let nulls = 0
  for (let i = 0; i < count; i++) {
    const row = selection === null ? i : selection[i]!
    if (column.isNull(row)) {
      nulls++
      continue
    }
    if (aspects.size === 0) continue
    try {
      const value = column.value(row)
      sum?.add(value)
      least?.add(value)
      greatest?.add(value)
    } catch (error) {
      if (!(error instanceof BadText)) throw error
      report.fail({ row, code: 'STAGE_CAST', reason: error.message, columns: [name] })
    }
  }
  return {
    nulls,
    ...(sum && { sum: sum.facts }),
    ...(least && { least: { order, text: least.text } }),
    ...(greatest && { greatest: { order, text: greatest.text } }),
  }
}

/** Integers and numerics are added exactly, what is a double only as doubles are. */
class ColumnSum {
  readonly #exact = new ExactSum()
  #double: number | undefined

  /** Errors: BadText. */
  add(value: Result): void {
    if (typeof value === 'number') {
      if (Number.isInteger(value)) this.#exact.addInteger(value)
      else this.#double = (this.#double ?? 0) + value
      return
    }
    const text = typeof value === 'string' ? value.trim() : String(value)
    if (this.#exact.addText(text)) return
    const special = orderedOf(text, 'number')
    if (special === null) throw new BadText(text.length)
    const word = special.text.toLowerCase()
    const infinite = word.startsWith('-') ? -Infinity : Infinity
    this.#double = (this.#double ?? 0) + (word === 'nan' ? NaN : infinite)
  }

  get facts(): NonNullable<ColumnFacts['sum']> {
    const exact = decimalText(this.#exact.total)
    return this.#double === undefined ? { exact } : { exact, double: doubleFact(this.#double) }
  }
}

/** The value that is furthest in one direction. */
class Extreme {
  readonly #order: Order
  readonly #sign: 1 | -1
  #found: Ordered | null = null

  constructor(order: Order, sign: 1 | -1) {
    this.#order = order
    this.#sign = sign
  }

  get text(): string | null {
    return this.#found?.text ?? null
  }

  /** Errors: BadText. */
  add(value: Result): void {
    const found = this.#found
    // Most numbers are not further, which is seen without making anything of them.
    if (typeof value === 'number' && found !== null && !this.#isFurther(value, found.near)) return
    const ordered = orderedOf(value, this.#order)
    if (ordered === null) throw new BadText(String(value).length)
    if (found === null || compareOrdered(ordered, found, this.#order) * this.#sign > 0) {
      this.#found = ordered
    }
  }

  /** Also where it is not known. */
  #isFurther(value: number, near: number): boolean {
    return this.#sign === 1 ? !(value <= near) : !(value >= near)
  }
}
