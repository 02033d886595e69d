import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../src/cli/bin.mjs', import.meta.url))

export interface CliResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** What standard input gives; closed at once if left out. */
  readonly input?: Buffer | string
}

/** A running command line. */
export interface RunningCli {
  readonly process: ChildProcess
  readonly result: Promise<CliResult>
}

/** Starts the built command line, with nothing of this process's environment that names a server. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG|MILLRACE_|DATABASE_URL|NODE_OPTIONS|VITEST)/.test(name),
  )
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
  child.stdin.on('error', () => undefined) // a command that does not read its input may be gone already
  child.stdin.end(options.input ?? '')
  const result = new Promise<CliResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { process: child, result }
}

/** Runs the built command line to its end. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).result
}
