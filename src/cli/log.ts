import pino, { type Logger } from 'pino'

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
    return pino(options, pretty({ destination: 2, sync: true, translateTime: 'HH:MM:ss' }))
  }
  return pino(options, pino.destination({ dest: 2, sync: true }))
}
