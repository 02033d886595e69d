import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type CliOptions, type CliResult, startCli } from './cli.ts'
import type { TestDatabase } from './database.ts'

const bin = fileURLToPath(new URL('../../src/cli/bin.mjs', import.meta.url))

/** What `load --json` prints, as far as the tests look at it. */
export interface LoadReport {
  readonly status: string
  readonly rows: {
    readonly read: number
    readonly loaded: number
    readonly rejected: number
    readonly filtered: number
  }
  readonly resumed: { readonly rows: number; readonly bytes: number }
  readonly chunks: number
  readonly peakRssBytes: number
  readonly created: string | null
  readonly completedAt: string | null
  readonly error?: {
    readonly code: string
    readonly message: string
    readonly hint?: string
    readonly where?: {
      readonly source?: string
      readonly record?: number
      readonly line?: number
      readonly byte?: number
      readonly column?: string
    }
  }
}

/** A load that has ended. */
export interface EndedLoad extends CliResult {
  readonly report: LoadReport
  readonly seconds: number
}

/** A load that runs. */
export interface RunningLoad {
  readonly process: ChildProcess
  readonly ended: Promise<EndedLoad>
}

/** Starts `load` into a test's database; it stops at the first bad row, unless it is told otherwise. */
export function startLoad(
  db: TestDatabase,
  args: readonly string[],
  options: CliOptions = {},
): RunningLoad {
  const began = performance.now()
  const { process, result } = startCli(['load', ...strict(args), '--to', db.url, '--json'], options)
  return { process, ended: result.then((run) => endedLoad(run, began)) }
}

/** Runs `load` into a test's database to its end. */
export function runLoad(
  db: TestDatabase,
  args: readonly string[],
  options: CliOptions = {},
): Promise<EndedLoad> {
  return startLoad(db, args, options).ended
}

/** Starts `load -` with a standard input that stays open. */
export function startOpenLoad(db: TestDatabase, args: readonly string[]): RunningLoad {
  const began = performance.now()
  const child = spawn(
    process.execPath,
    [bin, 'load', '-', ...strict(args), '--to', db.url, '--json'],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
  child.stdin.on('error', () => undefined) // the loader may be gone already
  const ended = new Promise<EndedLoad>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(endedLoad({ code, signal, stdout, stderr }, began)))
  })
  return { process: child, ended }
}

function strict(args: readonly string[]): readonly string[] {
  return args.includes('--max-errors') ? args : [...args, '--max-errors', '0']
}

function endedLoad(run: CliResult, began: number): EndedLoad {
  const seconds = (performance.now() - began) / 1000
  // A killed load has printed nothing.
  const report = (run.stdout === '' ? {} : JSON.parse(run.stdout)) as LoadReport
  return { ...run, report, seconds }
}

/** Waits until something holds, for 20 s at most. */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  seconds = 20,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass: ${what}`)
    await sleep(20)
  }
}

/** A connection of a loader. */
export interface Backend {
  readonly pid: number
  readonly role: 'run' | 'lane'
  readonly state: string
  readonly waits: string | null
  readonly query: string
}

/** The connections that loaders have to a test's database. */
export function backends(db: TestDatabase): Promise<Backend[]> {
  return db.query<Backend>(
    `select pid, state, wait_event_type as waits, query,
            case when pid in (select backend from millrace.run where status = 'running')
                 then 'run' else 'lane' end as role
       from pg_stat_activity
      where datname = current_database() and application_name like 'millrace%'`,
  )
}

/** Waits until no loader has a connection any more. */
export function noBackendLeft(db: TestDatabase): Promise<void> {
  return until(
    'no connection of a loader is left',
    async () => (await backends(db)).length === 0,
    5,
  )
}

/** The rows that the claims of a job know; null for a job that is not there. */
export async function claimedRows(db: TestDatabase, job: string): Promise<number> {
  const sum = await db.value(
    `select coalesce(sum(loaded), 0)::int from millrace.claim
      where job = (select id from millrace.job where key = $1)`,
    [job],
  )
  return Number(sum)
}
