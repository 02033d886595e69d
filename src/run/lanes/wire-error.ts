import {
  AbortedError,
  CheckpointError,
  type CheckpointCode,
  ConfigError,
  type ConfigCode,
  MillraceError,
  SourceError,
  type SourceCode,
  StageError,
  type StageCode,
  TargetError,
  type TargetCode,
  toError,
} from '../../core/errors.ts'
import type { WireError } from './lane-protocol.ts'

/** Takes an error apart, to send it to another thread. */
export function packError(thrown: unknown): WireError {
  const error = toError(thrown)
  const known = error instanceof MillraceError ? error : null
  return {
    kind: kindOf(error),
    code: known?.code ?? null,
    message: error.message,
    where: known?.where,
    hint: known?.hint,
    retryable: known?.retryable ?? false,
    server: error instanceof TargetError ? error.server : undefined,
    stack: error.stack,
  }
}

/** Puts it together again on the other side. */
export function unpackError(wire: WireError): Error {
  const { message, where, hint, retryable } = wire
  const details = { where, hint, retryable }
  switch (wire.kind) {
    case 'config':
      return new ConfigError(wire.code as ConfigCode, message, details)
    case 'source':
      return new SourceError(wire.code as SourceCode, message, details)
    case 'stage':
      return new StageError(wire.code as StageCode, message, details)
    case 'target':
      return new TargetError(wire.code as TargetCode, message, {
        ...details,
        server: wire.server ?? {},
      })
    case 'checkpoint':
      return new CheckpointError(wire.code as CheckpointCode, message, details)
    case 'aborted':
      return new AbortedError(message, details)
    case 'unknown': {
      const error = new Error(message)
      if (wire.stack !== undefined) error.stack = wire.stack
      return error
    }
  }
}

function kindOf(error: Error): WireError['kind'] {
  if (error instanceof ConfigError) return 'config'
  if (error instanceof SourceError) return 'source'
  if (error instanceof StageError) return 'stage'
  if (error instanceof TargetError) return 'target'
  if (error instanceof CheckpointError) return 'checkpoint'
  return error instanceof AbortedError ? 'aborted' : 'unknown'
}
