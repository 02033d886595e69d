import { spawn } from 'node:child_process'
import type { Identity } from './identity.ts'

/** How a program ended. `code` is its exit code, a signal's name, or the errno of not being able to start it. */
export interface Ran {
  readonly code: number | string
  /** The last of stdout and stderr together. */
  readonly output: string
}

const keptOutput = 8192

/**
 * The environment of PostgreSQL's programs: none of ours, so that a PGPORT, a broken LANG or a preloaded library of
 * the caller changes nothing. (`PATH` is for `id` and for the shell that initdb calls.)
 */
export const environment = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin:/usr/sbin:/sbin' }

/** Runs a program to its end. Never throws. */
export function run(
  file: string,
  args: readonly string[],
  options: { as?: Identity; input?: string } = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    let output = ''
    const keep = (piece: string): void => {
      output = (output + piece).slice(-keptOutput)
    }
    // The working directory is `/`: ours may be one that the other user cannot enter.
    const child = spawn(file, args, {
      ...options.as,
      cwd: '/',
      env: environment,
      windowsHide: true,
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ code: error.code ?? 'ERROR', output: error.message })
    })
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'UNKNOWN', output }))
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    // A program that ends without reading its input is judged by its exit code.
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
  })
}
