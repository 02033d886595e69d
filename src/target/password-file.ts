import { readFile, stat } from 'node:fs/promises'
import { libpqVariable, userFile } from './environment.ts'

/** What a password is looked up for. */
export interface Login {
  readonly host: string
  readonly port: number | string
  readonly database: string
  readonly user: string
}

/** The password file: as named, or PGPASSFILE, or ~/.pgpass. */
export function passwordFile(named: string | undefined): string {
  return named ?? libpqVariable('PGPASSFILE') ?? userFile('passwords')
}

/**
 * Looks a password up in a password file; the first line that fits counts. Null where there is none.
 * https://www.postgresql.org/docs/current/libpq-pgpass.html
 *
 * Shape: a file that others may read is not used, as in libpq; `reasonToIgnore` says so.
 * Why:   pg asks the package pgpass, which it is to do without from its next version on, and which writes its warnings to
 *        stderr, once for each connection.
 */
export async function lookUpPassword(file: string, login: Login): Promise<string | null> {
  if ((await reasonToIgnore(file)) !== null) return null
  const text = await readFile(file, 'utf8').catch(() => '') // as libpq: it is one of several ways
  const wanted = [login.host, String(login.port), login.database, login.user]
  for (const line of text.split(/\r?\n/)) {
    const [, ...fields] = line.startsWith('#') ? [] : (ENTRY.exec(line) ?? [])
    const password = fields.pop()
    if (password === undefined) continue
    if (fields.every((field, i) => fits(field, wanted[i]!))) return unescape(password)
  }
  return null
}

/** Why a password file that is there is not used, in words for a log; null where it is, or is not there. */
export async function reasonToIgnore(file: string): Promise<string | null> {
  const stats = await stat(file).catch(() => null)
  if (stats === null) return null
  if (!stats.isFile()) return `the password file ${file} is ignored: it is no plain file`
  if (process.platform === 'win32' || (stats.mode & 0o077) === 0) return null
  return `the password file ${file} is ignored: others than its owner may use it; chmod 0600 it`
}

const FIELD = String.raw`((?:\\.|[^:\\])*)`
const ENTRY = new RegExp(`^${[FIELD, FIELD, FIELD, FIELD].join(':')}:(.*)$`)

function fits(field: string, wanted: string): boolean {
  if (field === '*' || unescape(field) === wanted) return true
  // A connection through a Unix socket is one to localhost.
  return wanted.startsWith('/') && field === 'localhost'
}

function unescape(field: string): string {
  return field.replace(/\\(.)/g, '$1')
}
