import pino, { type Logger } from 'pino'
import { printable } from './output.ts'

export const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/**
 * The logger of the command line, on stderr: for people on a terminal, one JSON object a line elsewhere.
 *
 * Why: what only a terminal needs is loaded only there, here as in the other files: 30 ms of every start.
 */
export async function makeLogger(level: string): Promise<Logger> {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  if (process.stderr.isTTY) {
    const { default: pretty } = await import('pino-pretty')
    return pino(
      { ...options, hooks: { streamWrite: escapedTwice } },
      pretty({ destination: 2, sync: true, translateTime: 'HH:MM:ss' }),
    )
  }
  const stderr = pino.destination({ dest: 2, sync: true })
  stderr.on('error', () => undefined) // a log that finds no room is no reason to load nothing
  return pino({ ...options, hooks: { streamWrite: printable } }, stderr)
}

/** A line of JSON whose control characters are still escaped once it is read: what is made of it goes to a terminal. */
export function escapedTwice(line: string): string {
  return printable(line).replace(/\\\\|\\u00[0-9a-f]{2}|\\[bfr]/gi, (found) =>
    found === '\\\\' ? found : `\\${found}`,
  )
}
