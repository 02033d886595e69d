import { type Command, Option } from 'commander'
import { ConfigError, load, type LoadOptions, type MaxErrors } from '../index.ts'
import { addDialectOptions, type DialectOptions, dialectOf, option } from './dialect-options.ts'
import { Exit, exitCodeOf } from './exit-codes.ts'
import { LEVELS, makeLogger } from './log.ts'
import { printNote, printResult } from './output.ts'
import { progressView } from './progress-view.ts'
import { errorReport, printError } from './report-error.ts'
import { reportFile, type WriteReport } from './report-file.ts'
import { stopOnSignals } from './signals.ts'
import { addStageOptions, stagesOf, type StageOptions } from './stage-options.ts'
import { renderSummary } from './summary-text.ts'
import { openTarget } from './target.ts'
import { parseCount, parseDuration, parseLimit, parseSize, parseTypes } from './units.ts'

interface LoadFlags extends DialectOptions, StageOptions {
  readonly to?: string
  readonly table?: string
  readonly types?: Record<string, string>
  readonly create: boolean
  readonly lanes?: number
  readonly chunkSize?: number
  readonly maxRecord?: number
  readonly maxErrors?: MaxErrors
  readonly retryFor?: number
  readonly ioTimeout?: number
  readonly rejects?: string
  readonly atomic?: true
  readonly missing?: 'fail' | 'ok'
  readonly job?: string
  readonly restart?: true
  readonly appended?: true
  readonly stateSchema?: string
  readonly json?: true
  readonly progress: 'auto' | 'never'
  readonly logLevel: string
  readonly report?: string
}

export function addLoadCommand(program: Command): void {
  const command = program
    .command('load')
    .description('load a CSV file, or - for standard input, into a table')
    .argument('<input>', 'path of a file, or - for standard input')
    .addOption(
      option('--to <url>', 'postgres://user@host/database; the embedded PostgreSQL if left out'),
    )
    .addOption(option('--table <name>', 'table or schema.table; the name of the file if left out'))
    .addOption(
      option('--types <list>', 'types of columns to create: a=int,b=numeric(12,2)').argParser(
        parseTypes,
      ),
    )
    .addOption(new Option('--no-create', 'fail when the table does not exist'))
    .addOption(
      option(
        '--lanes <n>',
        'threads, each with a connection; the number of cores, at most 8',
      ).argParser(parseCount),
    )
    .addOption(
      option('--chunk-size <size>', 'bytes of input committed at a time (default: 8MiB)').argParser(
        parseSize,
      ),
    )
    .addOption(
      option('--max-record <size>', 'longest record that is read (default: 16MiB)').argParser(
        parseSize,
      ),
    )
    .addOption(
      option(
        '--max-errors <limit>',
        'rows that may be rejected, 100 or 1%; 0 stops at the first (default: 1%)',
      ).argParser(parseLimit),
    )
    .addOption(
      option(
        '--retry-for <time>',
        'how long faults that may pass are tried again; 0 for not at all (default: 5m)',
      ).argParser(parseDuration),
    )
    .addOption(
      option(
        '--io-timeout <time>',
        'silence after which a connection is looked after, and made anew if dead (default: 60s)',
      ).argParser(parseDuration),
    )
    .addOption(
      option(
        '--rejects <file>',
        'at the end, write what is rejected to a .ndjson, .csv or .parquet file',
      ),
    )
    .addOption(
      option(
        '--atomic',
        'all rows or none: they come into the table in one transaction at the end',
      ),
    )
    .addOption(
      option(
        '--missing <what>',
        'an input that does not exist: an error, or nothing to load (default: fail)',
      ).choices(['fail', 'ok']),
    )
    .addOption(
      option(
        '--job <name>',
        'name under which this load is known and resumed; from input and table if left out',
      ),
    )
    .addOption(
      option('--restart', 'forget what was loaded before, and begin anew').conflicts('appended'),
    )
    .addOption(option('--appended', 'load what was added to a file that has grown'))
    .addOption(
      option(
        '--state-schema <name>',
        'schema of the checkpoint in the target database (default: millrace)',
      ),
    )
    .addOption(option('--json', 'print one JSON object at the end'))
    .addOption(
      option('--progress <when>', 'show progress').choices(['auto', 'never']).default('auto'),
    )
    .addOption(
      option('--log-level <level>', 'what is logged')
        .choices([...LEVELS])
        .default('info'),
    )
    .addOption(option('--report <file>', 'also write the JSON summary to a file'))
  addStageOptions(command)
  addDialectOptions(command).action(async (input: string, flags: LoadFlags) => {
    process.exitCode = await runLoad(input, flags)
  })
}

/** Loads, tells, and returns the exit code. */
async function runLoad(input: string, flags: LoadFlags): Promise<number> {
  const log = await makeLogger(flags.logLevel)
  const stop = stopOnSignals(() =>
    printNote('stopping: what is in flight is finished or rolled back'),
  )
  const view = await progressView(
    flags.json === true && !process.stderr.isTTY ? 'never' : flags.progress,
    log,
  )
  let writeReport: WriteReport | null = null
  try {
    writeReport = await reportFile(flags.report)
    const target = await openTarget(flags.to, log)
    try {
      const options = { ...loadOptions(input, flags), to: target.url, signal: stop.signal, log }
      const summary = await load({ ...options, onProgress: (progress) => view.update(progress) })
      view.stop()
      const json = JSON.stringify(summary)
      await writeReport?.(json)
      printResult(flags.json === true ? json : renderSummary(summary, target.embedded))
      return Exit.complete
    } finally {
      await target.close()
    }
  } catch (thrown) {
    view.stop()
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    const code = stop.exitCode() ?? exitCodeOf(error)
    const status = stop.exitCode() === null ? 'failed' : 'interrupted'
    const report = { status, error: errorReport(error) }
    if (flags.json === true) printResult(JSON.stringify(report))
    await writeReport?.(JSON.stringify(report)).catch(printError)
    printError(error)
    return code
  } finally {
    stop.dispose()
  }
}

function loadOptions(input: string, flags: LoadFlags): Omit<LoadOptions, 'to'> {
  if (input === '-' && process.stdin.isTTY) {
    throw new ConfigError(
      'CONFIG_USAGE',
      'standard input is a terminal, expected a pipe or a file',
      {
        hint: 'cat file.csv | millrace load - --table t',
      },
    )
  }
  return {
    input: input === '-' ? process.stdin : input,
    table: flags.table,
    dialect: dialectOf(flags),
    columns: flags.columns,
    types: flags.types,
    stages: stagesOf(flags),
    create: flags.create ? 'if-missing' : 'never',
    lanes: flags.lanes,
    chunkSize: flags.chunkSize,
    maxRecord: flags.maxRecord,
    maxErrors: flags.maxErrors,
    retryFor: flags.retryFor,
    ioTimeout: flags.ioTimeout,
    rejects: flags.rejects,
    atomic: flags.atomic,
    missing: flags.missing,
    job: flags.job,
    resume: flags.restart === true ? 'restart' : flags.appended === true ? 'appended' : 'resume',
    stateSchema: flags.stateSchema,
  }
}
