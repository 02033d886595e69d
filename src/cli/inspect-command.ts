import type { Command } from 'commander'
import { inspect, type Inspection } from '../index.ts'
import { addDialectOptions, type DialectOptions, dialectOf, option } from './dialect-options.ts'
import { printResult } from './output.ts'
import { renderTable } from './table.ts'
import { formatBytes, formatCount } from './units.ts'

export function addInspectCommand(program: Command): void {
  const command = program
    .command('inspect')
    .description('show dialect, columns, types, DDL and first rows without loading')
    .argument('<input>', 'path of a file, or - for standard input')
    .addOption(option('--table <name>', 'table of the DDL'))
    .addOption(option('--json', 'print one JSON object'))
  addDialectOptions(command).action(
    async (input: string, flags: DialectOptions & { table?: string; json?: true }) => {
      const found = await inspect({
        input: input === '-' ? process.stdin : input,
        table: flags.table,
        dialect: dialectOf(flags),
      })
      printResult(flags.json === true ? JSON.stringify(found) : await render(found))
    },
  )
}

async function render(found: Inspection): Promise<string> {
  const { dialect } = found
  const size = found.size === null ? 'a stream' : formatBytes(found.size)
  const from = found.wholeInput ? 'all' : 'the first'
  const lines = [
    `${found.source}: ${size}`,
    `dialect: delimiter ${JSON.stringify(dialect.delimiter)}, quote ${JSON.stringify(dialect.quote)}, ` +
      `line end ${dialect.lineEnd}, ${dialect.header ? 'with' : 'without'} header` +
      (found.confident ? '' : ' (in doubt: say it yourself if this is wrong)'),
    ...found.reasons.map((reason) => `  ${reason}`),
    `types, from ${from} ${formatCount(found.records)} records:`,
    '',
    found.ddl,
  ]
  if (found.rows.length > 0) {
    const names = found.columns.map((column) => column.name)
    lines.push('', await renderTable(names, found.rows))
  }
  return lines.join('\n')
}
