import {
  AbortedError,
  CheckpointError,
  ConfigError,
  type ErrorCode,
  MillraceError,
  QualityError,
  RejectError,
} from '../index.ts'

/** How the process ends. https://man.freebsd.org/cgi/man.cgi?sysexits for 75. */
export const Exit = {
  complete: 0,
  failed: 1,
  usage: 2,
  quality: 3,
  refused: 4,
  temporary: 75,
  sigint: 130,
  sigterm: 143,
} as const

const USAGE: ReadonlySet<ErrorCode> = new Set(['TARGET_NO_TABLE'])

/** The exit code for an error; an abort by signal is 130 or 143, which the caller knows. */
export function exitCodeOf(error: Error): number {
  if (error instanceof ConfigError) return Exit.usage
  if (error instanceof QualityError || error instanceof RejectError) return Exit.quality
  if (error instanceof CheckpointError) return Exit.refused
  if (error instanceof AbortedError) return Exit.sigint
  if (error instanceof MillraceError && USAGE.has(error.code)) return Exit.usage
  if (error instanceof MillraceError && error.retryable) return Exit.temporary
  return Exit.failed
}
