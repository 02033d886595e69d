import { type BrokenRule, MillraceError, QualityError } from '../index.ts'
import { printNote } from './output.ts'

/** An error as `--json` gives it. */
export interface ErrorReport {
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
  readonly where?: object | undefined
  /** The rules that were broken. */
  readonly quality?: readonly BrokenRule[]
}

export function errorReport(error: Error): ErrorReport {
  if (!(error instanceof MillraceError)) return { code: 'INTERNAL', message: error.message }
  const { code, message, hint, where } = error
  const quality = error instanceof QualityError ? { quality: error.broken } : {}
  return { code, message, hint, where, ...quality }
}

/** Tells a person what went wrong. A stack trace only for what is our own mistake. */
export function printError(error: Error): void {
  if (error instanceof MillraceError) {
    printNote(`error: ${error.message} [${error.code}]`)
    if (error.hint !== undefined) printNote(`hint: ${error.hint}`)
  } else {
    printNote(`error: this is a bug in Millrace, please report it\n${error.stack ?? error.message}`)
  }
}
