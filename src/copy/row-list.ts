import { type Chunk, countRows } from '../chunk/chunk.ts'
import { ValueColumn } from '../chunk/column.ts'
import { type ColumnLimits, isLimited, markOver } from './column-limits.ts'
import { growBlock } from './block-pool.ts'
import { Block, ChunkRows, RowCursor, type RowPlan } from './rows.ts'
import { BadColumnValue, encodeTextRows } from './text-rows.ts'

/** Turns places among all rows but some into the rows' numbers; both are given in ascending order. */
export function rowNumbers(left: readonly number[]): (place: number) => number {
  let before = 0
  return (place) => {
    while (before < left.length && left[before]! <= place + before) before++
    return place + before
  }
}

/** The rows of some chunks by their numbers, from 0: those that are in, one chunk after the other. */
export class RowList {
  readonly #chunks: readonly Chunk[]
  /** By chunk, the number of its first row; and behind them how many rows there are. */
  readonly #firsts: readonly number[]
  readonly count: number

  constructor(chunks: readonly Chunk[]) {
    const firsts: number[] = []
    let count = 0
    for (const chunk of chunks) {
      firsts.push(count)
      count += countRows(chunk)
    }
    this.#chunks = chunks
    this.#firsts = firsts
    this.count = count
  }

  /** Where a row is: its chunk, by number, and its row of that. */
  placeOf(row: number): { readonly chunk: number; readonly row: number } {
    const chunk = this.#firsts.findLastIndex((first) => first <= row)
    const at = row - this.#firsts[chunk]!
    return { chunk, row: this.#chunks[chunk]!.selection?.[at] ?? at }
  }

  /** Chunks of these rows alone, given in ascending order. */
  pick(rows: readonly number[]): Chunk[] {
    const picked: Chunk[] = []
    let next = 0
    this.#chunks.forEach((chunk, c) => {
      const first = this.#firsts[c]!
      const end = first + countRows(chunk)
      const from = next
      while (next < rows.length && rows[next]! < end) next++
      if (next === from) return
      if (next - from === end - first) {
        picked.push(chunk)
        return
      }
      const selection = new Int32Array(next - from)
      for (let i = from; i < next; i++) {
        const at = rows[i]! - first
        selection[i - from] = chunk.selection === null ? at : chunk.selection[at]!
      }
      picked.push({ ...chunk, selection })
    })
    return picked
  }

  /** Chunks of all rows but these, given in ascending order. */
  without(rows: readonly number[]): Chunk[] {
    let next = 0
    return this.#chunks.flatMap((chunk, c) => {
      const first = this.#firsts[c]!
      const count = countRows(chunk)
      const from = next
      while (next < rows.length && rows[next]! < first + count) next++
      if (next === from) return count === 0 ? [] : [chunk]
      if (next - from === count) return []
      const selection = new Int32Array(count - (next - from))
      for (let i = 0, kept = 0, left = from; i < count; i++) {
        if (left < next && rows[left] === first + i) left++
        else selection[kept++] = chunk.selection === null ? i : chunk.selection[i]!
      }
      return [{ ...chunk, selection }]
    })
  }

  /** Rows with a value that is over a limit of its column; `limits` in the order of the plan. */
  rowsOver(plan: RowPlan, limits: readonly ColumnLimits[]): number[] {
    const limited = limits.flatMap((limit, c) =>
      isLimited(limit) ? [{ limit, slot: plan.slots[c]! }] : [],
    )
    const rows: number[] = []
    for (const [c, { columns, selection, rowCount }] of this.#chunks.entries()) {
      const over = new Uint8Array(selection?.length ?? rowCount)
      for (const { limit, slot } of limited) markOver(limit, columns[slot]!, selection, over)
      for (let i = over.indexOf(1); i !== -1; i = over.indexOf(1, i + 1)) {
        rows.push(this.#firsts[c]! + i)
      }
    }
    return rows
  }

  /** Values of stages that have no text. */
  badValues(plan: RowPlan): BadColumnValue[] {
    const bad: BadColumnValue[] = []
    const hasValues = this.#chunks.some(({ columns }) =>
      plan.slots.some((slot) => columns[slot] instanceof ValueColumn),
    )
    if (!hasValues) return bad
    this.#dryRun(plan, (cursor, block) => {
      try {
        encodeTextRows(cursor, plan, block)
      } catch (error) {
        if (!(error instanceof BadColumnValue)) throw error
        bad.push(error)
        cursor.row = error.row + 1
        cursor.stop = 'not-canonical'
      }
    })
    return bad
  }

  /** Takes all rows through an encoder; what it writes is thrown away. */
  #dryRun(plan: RowPlan, encode: (cursor: RowCursor, block: Block) => void): void {
    const cursor = new RowCursor()
    let block = new Block(Buffer.allocUnsafeSlow(256 * 1024), 0)
    cursor.rewind()
    for (const chunk of this.#chunks) {
      cursor.enter(new ChunkRows(chunk, plan))
      for (;;) {
        const before = cursor.row
        block.length = 0
        encode(cursor, block)
        if (cursor.stop === 'end') break
        if (cursor.stop === 'full' && cursor.row === before) block = growBlock(block)
      }
    }
  }
}
