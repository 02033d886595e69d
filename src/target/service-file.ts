import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, toError } from '../core/errors.ts'
import { libpqVariable, userFile } from './environment.ts'

/**
 * Reads a section of the connection service file: PGSERVICEFILE, else ~/.pg_service.conf, and then pg_service.conf in
 * PGSYSCONFDIR. https://www.postgresql.org/docs/current/libpq-pgservice.html
 *
 * Shape:  libpq's names of parameters, such as `dbname`.
 * Errors: CONFIG_BAD_VALUE for a service that is in none of them, and for a line that is no `name=value`: by its number,
 *         since it may hold a password.
 */
export async function readService(service: string): Promise<ReadonlyMap<string, string>> {
  const named = libpqVariable('PGSERVICEFILE')
  const folder = libpqVariable('PGSYSCONFDIR')
  const files = [
    named ?? userFile('services'),
    ...(folder === undefined ? [] : [join(folder, 'pg_service.conf')]),
  ]
  for (const file of files) {
    const text = await readIfThere(file, file === named)
    const section = text === null ? null : findSection(text, service, file)
    if (section !== null) return section
  }
  const name = JSON.stringify(service)
  throw new ConfigError('CONFIG_BAD_VALUE', `there is no service ${name} in ${files.join(', ')}`, {
    hint: 'PGSERVICEFILE names the file of services, PGSERVICE or ?service= in --to the service',
  })
}

async function readIfThere(file: string, named: boolean): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    const error = toError(thrown) as NodeJS.ErrnoException
    if (error.code === 'ENOENT' && !named) return null
    const message = `the file of services cannot be read: ${error.message}`
    throw new ConfigError('CONFIG_BAD_VALUE', message, { hint: 'PGSERVICEFILE names it' })
  }
}

/** The section of a service; null where there is none. The first value of a name counts. */
function findSection(
  text: string,
  service: string,
  file: string,
): ReadonlyMap<string, string> | null {
  let section: Map<string, string> | null = null
  let inside = false
  for (const [i, line] of text
    .split(/\r?\n/)
    .map((one) => one.trim())
    .entries()) {
    if (line === '' || line.startsWith('#')) continue
    const header = /^\[(.*)\]$/.exec(line)
    if (header !== null) {
      if (section !== null) return section
      inside = header[1] === service
      if (inside) section = new Map()
    } else if (inside) {
      const [, name, value] = /^([a-z_]+)\s*=\s*(.*)$/.exec(line) ?? []
      if (name === undefined || value === undefined) throw badLine(file, i + 1)
      if (!section!.has(name)) section!.set(name, value)
    }
  }
  return section
}

function badLine(file: string, line: number): ConfigError {
  const message = `line ${String(line)} of ${file} is no name=value`
  return new ConfigError('CONFIG_BAD_VALUE', message, {
    hint: 'as in host=db.example.org; sections begin with [service]',
  })
}
