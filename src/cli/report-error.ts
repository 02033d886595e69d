import {
  type BrokenRule,
  MillraceError,
  QualityError,
  RejectError,
  type RejectReason,
} from '../index.ts'
import { reasonLine } from './reasons.ts'
import { printNote } from './output.ts'

/** An error as `--json` gives it. */
export interface ErrorReport {
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
  readonly where?: object | undefined
  /** The rules that were broken. */
  readonly quality?: readonly BrokenRule[]
  /** Why rows were rejected. */
  readonly rejects?: readonly RejectReason[]
}

export function errorReport(error: Error): ErrorReport {
  if (!(error instanceof MillraceError)) return { code: 'INTERNAL', message: error.message }
  const { code, message, hint, where } = error
  const quality = error instanceof QualityError ? { quality: error.broken } : {}
  const rejects = error instanceof RejectError ? { rejects: error.reasons } : {}
  return { code, message, hint, where, ...quality, ...rejects }
}

/** Tells a person what went wrong. A stack trace only for what is our own mistake. */
export function printError(error: Error): void {
  if (error instanceof MillraceError) {
    printNote(`error: ${error.message} [${error.code}]`)
    if (error instanceof RejectError) error.reasons.forEach((one) => printNote(reasonLine(one)))
    if (error.hint !== undefined) printNote(`hint: ${error.hint}`)
  } else {
    printNote(`error: this is a bug in Millrace, please report it\n${error.stack ?? error.message}`)
  }
}
