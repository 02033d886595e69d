import { availableParallelism } from 'node:os'
import { ConfigError } from '../core/errors.ts'
import { silentLog } from '../core/log.ts'
import { type Server } from '../target/connect.ts'
import { RETRY_FOR_MS } from './lanes/lane-connection.ts'
import { type PlainOptions, type Settings } from './options.ts'
import { parseMaxErrors } from './job/reject-limit.ts'

const MOST_LANES = 8
const MEBIBYTE = 1 << 20

/** The options of a load with their defaults. Errors: CONFIG_BAD_VALUE. */
export function settingsOf(options: PlainOptions): Settings {
  const settings = {
    lanes: options.lanes ?? Math.min(availableParallelism(), MOST_LANES, mostLanes(options.to)),
    chunkSize: options.chunkSize ?? 8 * MEBIBYTE,
    maxRecord: options.maxRecord ?? 16 * MEBIBYTE,
    maxErrors: options.maxErrors ?? '1%',
    retryFor: options.retryFor ?? RETRY_FOR_MS,
    ioTimeout: options.ioTimeout,
    stateSchema: options.stateSchema ?? 'millrace',
    create: options.create ?? 'if-missing',
    resume: options.resume ?? 'resume',
    missing: options.missing ?? 'fail',
    atomic: options.atomic ?? false,
    signal: options.signal ?? new AbortController().signal,
    log: options.log ?? silentLog,
  }
  parseMaxErrors(settings.maxErrors)
  requireWithin('--lanes', settings.lanes, 1, Math.min(64, mostLanes(options.to)))
  requireWithin('--chunk-size', settings.chunkSize, 1024, 1024 * MEBIBYTE)
  requireWithin('--max-record', settings.maxRecord, 1024, 512 * MEBIBYTE)
  requireWithin('--retry-for', settings.retryFor, 0, 2 ** 31 - 1)
  if (options.ioTimeout !== undefined) {
    requireWithin('--io-timeout', options.ioTimeout, 1000, 2 ** 31 - 1)
  }
  return settings
}

/** A pool has to lend each lane a connection, and the run one. */
function mostLanes(server: Server): number {
  const max = typeof server === 'string' ? undefined : server.options?.max
  return max === undefined ? Infinity : Math.max(1, max - 1)
}

function requireWithin(option: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  const message = `${option} is ${String(value)}, expected ${String(least)} to ${String(most)}`
  throw new ConfigError('CONFIG_BAD_VALUE', message)
}
