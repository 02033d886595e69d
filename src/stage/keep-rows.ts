import { type Chunk, countRows } from '../chunk/chunk.ts'

/** The chunk with the rows that `holds` says true of; of one that it throws for, `fail` is told, and it is left out. */
export function keepRows(
  chunk: Chunk,
  holds: (row: number) => boolean,
  fail: (row: number, error: unknown) => void,
): Chunk {
  const { selection } = chunk
  const count = countRows(chunk)
  const kept = new Int32Array(count)
  let length = 0
  for (let i = 0; i < count; i++) {
    const row = selection === null ? i : selection[i]!
    try {
      if (holds(row)) kept[length++] = row
    } catch (error) {
      fail(row, error)
    }
  }
  return length === count ? chunk : { ...chunk, selection: kept.subarray(0, length) }
}
