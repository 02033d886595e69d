import type { Column } from '../chunk/column.ts'

/** What a column's declaration does not take, as far as it shows before a row is sent. */
export interface ColumnLimits {
  readonly notNull: boolean
  /** Characters of varchar(n) and char(n). */
  readonly length: number | null
  /** Digits before the point of numeric(p, s). */
  readonly wholeDigits: number | null
}

/** The limits of a column by its type as one writes it. */
export function columnLimits(type: string, notNull: boolean): ColumnLimits {
  const [, length] = /^character(?: varying)?\((\d+)\)$/.exec(type) ?? []
  const [, precision, scale] = /^numeric\((\d+),(-?\d+)\)$/.exec(type) ?? []
  return {
    notNull,
    length: length === undefined ? null : Number(length),
    wholeDigits: precision === undefined ? null : Number(precision) - Number(scale),
  }
}

/** Whether there is anything to look at. */
export function isLimited({ notNull, length, wholeDigits }: ColumnLimits): boolean {
  return notNull || length !== null || wholeDigits !== null
}

/** Marks the rows that are in, by their places among them, whose value in a column is likely refused: the server decides. */
export function markOver(
  limit: ColumnLimits,
  column: Column,
  selection: Int32Array | null,
  over: Uint8Array,
): void {
  for (let i = 0; i < over.length; i++) {
    const row = selection === null ? i : selection[i]!
    if (isOver(limit, column, row)) over[i] = 1
  }
}

function isOver(
  { notNull, length, wholeDigits }: ColumnLimits,
  column: Column,
  row: number,
): boolean {
  if (column.isNull(row)) return notNull
  const most = length ?? wholeDigits
  if (most === null) return false
  if (column.size(row) <= most) return false
  const text = column.text(row) ?? ''
  if (length !== null) return [...text.trimEnd()].length > length
  return (/^\s*[+-]?0*(\d*)/.exec(text)?.[1]?.length ?? 0) > most
}
