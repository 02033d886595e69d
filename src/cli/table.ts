import { printable } from './output.ts'

/** A table of text; null is shown as an empty cell, as psql does. */
export async function renderTable(
  columns: readonly string[],
  rows: readonly (readonly (string | null)[])[],
): Promise<string> {
  const { default: Table } = await import('cli-table3')
  const table = new Table({
    head: columns.map(printable),
    style: { head: [], border: [], compact: true },
  })
  for (const row of rows) table.push(row.map((cell) => (cell === null ? '' : printable(cell))))
  return table.toString()
}
