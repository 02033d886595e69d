import { MillraceError, TargetError, toError } from '../core/errors.ts'

const useAnother = 'or name a server of your own with --to postgres://user@host/database'

/** What the user can do about some of the things that PostgreSQL's programs say. */
const freeSpace = 'free some disk space'
const stillBusy = 'wait for the sessions of the server that crashed to end'
const remedies: readonly (readonly [said: RegExp, remedy: string])[] = [
  [/No space left on device|Disk quota exceeded/, freeSpace],
  // The server was killed, and a session of it is busy with a query that it cannot finish.
  [/shared memory block .* is still in use/, stillBusy],
  // initdb asks for the user's name: containers run with a bare number have none.
  [/could not look up effective user ID/, 'give this user an entry in /etc/passwd'],
]

/** The error of this room: what went wrong, and always the way round it. */
export function embeddedError(
  what: string,
  details: { hint?: string; cause?: unknown; retryable?: boolean } = {},
): TargetError {
  const hint = details.hint === undefined ? useAnother.slice(3) : `${details.hint}, ${useAnother}`
  return new TargetError('TARGET_EMBEDDED', `embedded PostgreSQL: ${what}`, { ...details, hint })
}

/** The error of a program of PostgreSQL that failed, with what it said last. */
export function programFailed(what: string, output: string, logFile?: string): TargetError {
  const said = lastWords(output)
  const remedy = remedies.find(([pattern]) => pattern.test(output))?.[1]
  const hint = remedy ?? (logFile === undefined ? undefined : `read ${logFile}`)
  return embeddedError(said === '' ? what : `${what}: ${said}`, {
    retryable: remedy === freeSpace || remedy === stillBusy,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** Whatever left this room's own functions, as an error of this room; its edge calls it. */
export function asEmbeddedError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const full = failedWith(thrown, 'ENOSPC', 'EDQUOT')
  return embeddedError(toError(thrown).message, {
    cause: thrown,
    retryable: full,
    ...(full ? { hint: freeSpace } : {}),
  })
}

/** The first error named, else the last line. */
function lastWords(output: string): string {
  const named = /\b(error|fatal|panic):.*/i.exec(output)?.[0]
  return named ?? output.trim().split('\n').at(-1)?.trim() ?? ''
}

/** The SQLSTATE or errno of a failed connection, wherever in the chain of causes it stands. */
export function codeOf(thrown: unknown): string | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const fields = error as Error & { code?: unknown; server?: { sqlstate?: unknown } }
    const code = fields.server?.sqlstate ?? fields.code
    if (typeof code === 'string' && /^([0-9A-Z]{5}|E[A-Z]+)$/.test(code)) return code
  }
  return undefined
}

/** Whether a file operation failed with one of these errno names. */
export function failedWith(thrown: unknown, ...codes: string[]): boolean {
  return codes.includes((thrown as NodeJS.ErrnoException | undefined)?.code ?? '')
}
