import { MillraceError, type ServerFields, TargetError, toError } from '../core/errors.ts'
import { type Fault, FAULTS } from '../core/faults.ts'

/** The fields of a PostgreSQL ErrorResponse that pg puts on its errors. */
interface DatabaseError extends Error {
  readonly code?: string
  readonly detail?: string
  readonly where?: string
  readonly column?: string
  readonly constraint?: string
  readonly table?: string
  readonly schema?: string
  readonly dataType?: string
  readonly severity?: string
}

/** What pg says when a socket closes without an error code. */
const CLOSED = /^Connection terminated|^Client has encountered a connection error|^This socket has/
const CLOSED_FAULT: Fault = { kind: 'lost', reason: 'the connection has ended' }

/**
 * A TargetError for what pg or the server has thrown. Errors of our own pass, mistakes in this program too.
 *
 * Rule: the server's message is kept, its DETAIL and CONTEXT, which hold values, are not.
 */
export function wrapServerError(thrown: unknown): Error {
  if (thrown instanceof MillraceError) return thrown
  if (thrown instanceof AggregateError) {
    // A lost connection fails twice: in the work, and in the ROLLBACK behind it.
    const faults = thrown.errors.map(wrapServerError).filter(isFault)
    const fault = faults.find(isConnectionLost) ?? faults[0]
    if (fault !== undefined) return fault
  }
  const error = toError(thrown) as DatabaseError
  const closed = error.code === undefined && CLOSED.test(error.message)
  const fault = closed ? CLOSED_FAULT : FAULTS.get(error.code ?? '')
  if (fault !== undefined) return faultError(error, fault)
  if (error.severity === undefined) return error
  const server = serverFields(error)
  const line = copyLine(error.where)
  const message = line === undefined ? error.message : withoutValues(error)
  return new TargetError(line !== undefined ? 'TARGET_ROW_REFUSED' : 'TARGET_REFUSED', message, {
    cause: error,
    server,
    copyLine: line,
  })
}

/** The error for what may pass; it is about no row, though a row may have been in the server's hands. */
function faultError(error: DatabaseError, { kind, reason }: Fault): TargetError {
  const details = { cause: error, retryable: true, server: serverFields(error) }
  const said = describe(error)
  if (kind === 'lost') {
    const message = `the connection to the server was lost (${said})`
    return new TargetError('TARGET_CONNECTION_LOST', message, details)
  }
  if (kind === 'undone') {
    const message = `the server could not do it for now: ${said}`
    return new TargetError('TARGET_TEMPORARY', message, { ...details, hint: reason })
  }
  return new TargetError('TARGET_UNREACHABLE', `cannot reach the server: ${said}`, {
    ...details,
    hint: 'check --to, or leave it out to use the embedded PostgreSQL',
  })
}

function serverFields(error: DatabaseError): ServerFields {
  if (error.severity === undefined) return {}
  return {
    sqlstate: error.code,
    constraint: error.constraint,
    table: error.table,
    column: error.column ?? copyColumn(error),
  }
}

/** Whether an error is worth another try, over another connection and after a look at the claims. */
export function isFault(error: unknown): error is TargetError {
  return error instanceof TargetError && error.retryable
}

/** Whether an error says that the connection is gone, and with it the knowledge of what was on the way. */
export function isConnectionLost(error: unknown): boolean {
  return error instanceof TargetError && error.code === 'TARGET_CONNECTION_LOST'
}

function describe(error: DatabaseError): string {
  return error.message === '' ? String(error.code) : error.message
}

/**
 * Where a row of a COPY is told of in the server's context: `COPY t, line 3, column a: "x"`, or in the language of its
 * `lc_messages`, which only a superuser may change: `COPY t, Zeile 3, Spalte a: „x“`. A name may hold anything.
 */
const LINES = [
  /^COPY [^]*?, line (\d+)(?=, column |:|$)/m,
  /^\P{Lu}*COPY[^]*?[,、]\s?\p{L}+ ?(\d+)(?=[,、]|\s?:|$)/mu,
]
const COLUMNS = [
  /^COPY [^]*?, line \d+, column (.+?)(?::|$)/m,
  /^\P{Lu}*COPY[^]*?[,、]\s?\p{L}+ ?\d+[,、]\s?\p{L}+ (.+?)(?:\s?:|$)/mu,
]

/** The row of this COPY that a context tells of, from 1. */
export function copyLine(context: string | undefined): number | undefined {
  const line = firstOf(LINES, context)
  return line === undefined ? undefined : Number(line)
}

function copyColumn(error: DatabaseError): string | undefined {
  return firstOf(COLUMNS, error.where)
}

function firstOf(patterns: readonly RegExp[], text = ''): string | undefined {
  for (const pattern of patterns) {
    const found = pattern.exec(text)?.[1]
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * What the server says of a row, without the row's values, which may be somebody's: of what it puts in quotes only the
 * names it also gives in fields of their own are kept.
 */
function withoutValues(error: DatabaseError): string {
  const names = [error.column, error.constraint, error.table, error.schema, error.dataType]
  const known = names.filter((name) => name !== undefined).map((name) => `"${name}"`)
  const parts = known.length === 0 ? [error.message] : split(error.message, known)
  const first = parts.findIndex((part) => !known.includes(part) && part.includes('"'))
  if (first === -1) return error.message
  const last = parts.findLastIndex((part) => !known.includes(part) && part.includes('"'))
  const before = parts.slice(0, first).join('') + parts[first]!.slice(0, parts[first]!.indexOf('"'))
  const after = parts[last]!.slice(parts[last]!.lastIndexOf('"') + 1)
  return `${before}(value not shown)${after}${parts.slice(last + 1).join('')}`
}

/** Splits a text at the known names, which stay as parts. */
function split(text: string, known: readonly string[]): string[] {
  const escaped = known.map((name) => name.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
  return text.split(new RegExp(`(${escaped.join('|')})`))
}
