import type { Command } from 'commander'
import type { Logger } from 'pino'
import { query, type QueryResult, startEmbeddedServer, stopEmbeddedServer } from '../index.ts'
import { makeLogger } from './log.ts'
import { printResult } from './output.ts'
import { renderTable } from './table.ts'
import { openTarget, stateDir } from './target.ts'

export function addDbCommand(program: Command): void {
  const db = program.command('db').description('the embedded PostgreSQL in .millrace/')
  const log = (): Promise<Logger> => makeLogger('warn')

  db.command('start')
    .description('start it, to run until `db stop`; loads start it by themselves and stop it again')
    .action(async () => {
      const { url } = await startEmbeddedServer({ stateDir: stateDir(), log: await log() })
      printResult(url)
    })

  db.command('stop')
    .description('stop it now, whoever uses it')
    .action(async () => {
      const stopped = await stopEmbeddedServer({ stateDir: stateDir() })
      printResult(stopped ? 'stopped' : 'it was not running')
    })

  db.command('url')
    .description('print its address, password included; starts it to run until `db stop`')
    .action(async () => {
      const { url } = await startEmbeddedServer({ stateDir: stateDir(), log: await log() })
      printResult(url)
    })

  db.command('sql')
    .description('run SQL on it and print what it gives as a table')
    .argument('<statement>', 'one statement, or several with ; between them')
    .option('--json', 'print rows as JSON, one object a line')
    .action(async (statement: string, flags: { json?: true }) => {
      const target = await openTarget(undefined, await log())
      try {
        for (const result of await query(target.url, statement)) {
          await print(result, flags.json === true)
        }
      } finally {
        await target.close()
      }
    })
}

async function print(result: QueryResult, json: boolean): Promise<void> {
  const { columns, rows, command, rowCount } = result
  if (columns.length === 0) {
    if (!json) printResult(rowCount === null ? command : `${command} ${String(rowCount)}`)
    return
  }
  if (json) {
    for (const row of rows) {
      printResult(JSON.stringify(Object.fromEntries(columns.map((name, i) => [name, row[i]]))))
    }
    return
  }
  printResult(await renderTable(columns, rows))
  printResult(`(${String(rows.length)} row${rows.length === 1 ? '' : 's'})`)
}
