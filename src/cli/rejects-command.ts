import type { Command } from 'commander'
import { exportRejects, listRejects, type RejectGroup, replayRejects } from '../index.ts'
import { option } from './dialect-options.ts'
import { exitCodeOf } from './exit-codes.ts'
import { makeLogger } from './log.ts'
import { printNote, printResult } from './output.ts'
import { reasonText } from './reasons.ts'
import { renderReplay } from './replay-text.ts'
import { errorReport, printError } from './report-error.ts'
import { stopOnSignals } from './signals.ts'
import { addStageOptions, stagesOf, type StageOptions } from './stage-options.ts'
import { renderTable } from './table.ts'
import { openTarget } from './target.ts'
import { formatCount } from './units.ts'

interface RejectsFlags {
  readonly to?: string
  readonly reason?: string
  readonly stateSchema?: string
  readonly json?: true
}

export function addRejectsCommand(program: Command): void {
  const rejects = program
    .command('rejects')
    .description('rows that are kept out of their tables: list, export and replay them')
  addList(rejects)
  addExport(rejects)
  addReplay(rejects)
}

function addCommonOptions(command: Command): Command {
  return command
    .addOption(option('--to <url>', 'postgres://...; the embedded PostgreSQL if left out'))
    .addOption(option('--reason <code>', 'only those with this SQLSTATE or code of Millrace'))
    .addOption(option('--state-schema <name>', 'schema of the checkpoint (default: millrace)'))
}

function addList(rejects: Command): void {
  const command = rejects
    .command('list')
    .description('show for which reasons rows are rejected, with an example of each')
    .argument('[job]', 'one job; all if left out')
    .addOption(option('--json', 'print one JSON array'))
  addCommonOptions(command).action(async (job: string | undefined, flags: RejectsFlags) => {
    const target = await openTarget(flags.to, await makeLogger('warn'))
    try {
      const { reason, stateSchema } = flags
      const groups = await listRejects({ to: target.url, job, reason, stateSchema })
      printResult(flags.json === true ? JSON.stringify(groups) : await renderGroups(groups))
    } finally {
      await target.close()
    }
  })
}

async function renderGroups(groups: readonly RejectGroup[]): Promise<string> {
  if (groups.length === 0) return 'no rejects'
  return renderTable(
    ['job', 'rows', 'reason', 'first in', 'line', 'message'],
    groups.map((group) => [
      group.job,
      formatCount(group.rows),
      reasonText(group),
      group.input,
      String(group.line),
      group.message,
    ]),
  )
}

function addExport(rejects: Command): void {
  const command = rejects
    .command('export')
    .description('write rejects to a file: to be looked at, or mended and replayed')
    .argument('[job]', 'one job; all if left out')
    .requiredOption('--output <file>', 'ends in .ndjson, .csv or .parquet')
    .addOption(
      option(
        '--escape-formulas',
        "CSV for a spreadsheet: ' before = + - @ tab and carriage return; not to be replayed",
      ),
    )
  addCommonOptions(command).action(
    async (
      job: string | undefined,
      flags: RejectsFlags & { output: string; escapeFormulas?: true },
    ) => {
      const target = await openTarget(flags.to, await makeLogger('warn'))
      try {
        const written = await exportRejects({ ...flags, to: target.url, job })
        printResult(`wrote ${formatCount(written.rejects)} rejects to ${flags.output}`)
      } finally {
        await target.close()
      }
    },
  )
}

interface ReplayFlags extends RejectsFlags, StageOptions {
  readonly from?: string
}

function addReplay(rejects: Command): void {
  const command = rejects
    .command('replay')
    .description('load the rejects of a job again; what is refused again stays')
    .argument('<job>', 'as `millrace status` names it')
    .addOption(
      option(
        '--from <file>',
        'an export, .ndjson or .csv, with mended records: only what is in it',
      ),
    )
    .addOption(option('--json', 'print one JSON object at the end'))
  addStageOptions(addCommonOptions(command)).action(async (job: string, flags: ReplayFlags) => {
    process.exitCode = await runReplay(job, flags)
  })
}

/** Replays, tells, and returns the exit code. */
async function runReplay(job: string, flags: ReplayFlags): Promise<number> {
  const { from, reason, stateSchema, json } = flags
  const log = await makeLogger('info')
  const stop = stopOnSignals(() =>
    printNote('stopping: what is in flight is finished or rolled back'),
  )
  try {
    const target = await openTarget(flags.to, log)
    try {
      const stages = stagesOf(flags)
      const given = stages.length === 0 ? {} : { stages }
      const options = { to: target.url, job, from, reason, stateSchema, signal: stop.signal, log }
      const summary = await replayRejects({ ...options, ...given })
      printResult(json === true ? JSON.stringify(summary) : renderReplay(summary))
      return 0
    } finally {
      await target.close()
    }
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    if (json === true) printResult(JSON.stringify({ error: errorReport(error) }))
    printError(error)
    return stop.exitCode() ?? exitCodeOf(error)
  } finally {
    stop.dispose()
  }
}
