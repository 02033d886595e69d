import { Command, CommanderError } from 'commander'
import { VERSION } from '../index.ts'
import { addDbCommand } from './db-command.ts'
import { Exit, exitCodeOf } from './exit-codes.ts'
import { addInspectCommand } from './inspect-command.ts'
import { addLoadCommand } from './load-command.ts'
import { addRejectsCommand } from './rejects-command.ts'
import { printNote } from './output.ts'
import { printError } from './report-error.ts'
import { addStatusCommand } from './status-command.ts'

/** Runs the command line. Sets the exit code, and lets the process end by itself: nothing may be left that keeps it. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('millrace')
    .description(
      'Streams CSV files into PostgreSQL: faster than psql, exactly once, in bounded memory.',
    )
    .version(VERSION)
    .showHelpAfterError('(run with --help for the options)')
    .showSuggestionAfterError()
    .exitOverride()
  addLoadCommand(program)
  addInspectCommand(program)
  addStatusCommand(program)
  addRejectsCommand(program)
  addDbCommand(program)
  process.stdout.on('error', resultNotWritten)
  process.stderr.on('error', () => undefined) // there is nowhere to say so
  try {
    await program.parseAsync(argv)
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      process.exitCode = thrown.exitCode === 0 ? Exit.complete : Exit.usage
      return
    }
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    printError(error)
    process.exitCode = exitCodeOf(error)
  }
}

/** A reader that goes away (`| head`) is no failure of ours; a full disk is. */
function resultNotWritten(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') return
  printNote(`error: the result cannot be written to standard output: ${error.message}`)
  process.once('exit', () => (process.exitCode ||= Exit.failed))
}
