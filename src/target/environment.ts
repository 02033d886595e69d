import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * The value of one of libpq's variables; empty is not set.
 *
 * Why: such a variable is a part of every address that leaves something out, in the command line and in the library: pg
 *      reads PGHOST, PGUSER and others by itself. Nothing else of the process's environment is read outside of cli/.
 *      https://www.postgresql.org/docs/current/libpq-envars.html
 */
export function libpqVariable(name: `PG${string}`): string | undefined {
  return process.env[name] || undefined
}

/** Files that libpq looks for where none is named. https://www.postgresql.org/docs/current/libpq.html */
export function userFile(name: keyof typeof UNIX_FILES): string {
  if (process.platform !== 'win32') return join(homedir(), UNIX_FILES[name])
  const folder = process.env['APPDATA'] ?? join(homedir(), 'AppData', 'Roaming')
  return join(folder, 'postgresql', WINDOWS_FILES[name] ?? name)
}

const UNIX_FILES = {
  passwords: '.pgpass',
  services: '.pg_service.conf',
  'root.crt': '.postgresql/root.crt',
  'postgresql.crt': '.postgresql/postgresql.crt',
  'postgresql.key': '.postgresql/postgresql.key',
} as const

const WINDOWS_FILES: Readonly<Record<string, string>> = {
  passwords: 'pgpass.conf',
  services: '.pg_service.conf',
}
