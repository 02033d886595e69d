import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'

export const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** The logger of the command line, on stderr: for people on a terminal, one JSON object a line elsewhere. */
export function makeLogger(level: string): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  if (process.stderr.isTTY) {
    return pino(options, pretty({ destination: 2, sync: true, translateTime: 'HH:MM:ss' }))
  }
  return pino(options, pino.destination({ dest: 2, sync: true }))
}
