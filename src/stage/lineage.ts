/**
 * What rows were made of, where stages make several of one: what tells the rows of one record apart.
 *
 * Shape: `madeOf` says of each row which row it was made of: a row behind the lineage before, a record where that is null.
 */
export class Lineage {
  readonly #madeOf: Int32Array
  readonly #before: Lineage | null
  #numbers: Int32Array | null = null

  constructor(madeOf: Int32Array, before: Lineage | null) {
    this.#madeOf = madeOf
    this.#before = before
  }

  /** Which row of its record a row is: its number, from 0, among those made of the same row, by each stage that made rows. */
  partOf(row: number): readonly number[] {
    const before = this.#before?.partOf(this.#madeOf[row]!) ?? []
    return [...before, this.#numbersOfRows()[row]!]
  }

  /** Whether a row was made that is this part of a record, also one that was left out later. */
  has(record: number, part: readonly number[]): boolean {
    if (this.#before?.has(record, part) === true) return true
    const wanted = part.join()
    return this.#madeOf.some(
      (_, row) => this.#recordOf(row) === record && this.partOf(row).join() === wanted,
    )
  }

  #recordOf(row: number): number {
    const of = this.#madeOf[row]!
    return this.#before === null ? of : this.#before.#recordOf(of)
  }

  /** Counted when they are first asked for: only rows that are refused need them. */
  #numbersOfRows(): Int32Array {
    if (this.#numbers !== null) return this.#numbers
    const numbers = new Int32Array(this.#madeOf.length)
    const counts = new Map<number, number>()
    this.#madeOf.forEach((of, row) => {
      const number = counts.get(of) ?? 0
      numbers[row] = number
      counts.set(of, number + 1)
    })
    return (this.#numbers = numbers)
  }
}
