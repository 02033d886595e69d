import { resolve } from 'node:path'
import type { Logger } from 'pino'
import { type EmbeddedServer, openEmbeddedServer } from '../index.ts'

/** Where a command works: a server of the user's, or the embedded one for as long as the command lasts. */
export interface OpenTarget {
  readonly url: string
  readonly embedded: boolean
  close(): Promise<void>
}

const PG_VARIABLES = ['PGHOST', 'PGSERVICE', 'PGDATABASE', 'PGUSER', 'PGPORT']

/** The directory of the embedded PostgreSQL. */
export function stateDir(): string {
  return resolve(process.env['MILLRACE_STATE_DIR'] ?? '.millrace')
}

/** --to, MILLRACE_DATABASE_URL, DATABASE_URL, the PG* variables, else the embedded PostgreSQL. */
export async function openTarget(to: string | undefined, log: Logger): Promise<OpenTarget> {
  const named =
    to ?? process.env['MILLRACE_DATABASE_URL'] ?? process.env['DATABASE_URL'] ?? fromPgVariables()
  if (named !== undefined) return { url: named, embedded: false, close: () => Promise.resolve() }
  const server: EmbeddedServer = await openEmbeddedServer({ stateDir: stateDir(), log })
  return { url: server.url, embedded: true, close: () => server.release() }
}

/** The driver reads the variables itself where the URL leaves things out. */
function fromPgVariables(): string | undefined {
  return PG_VARIABLES.some((name) => process.env[name] !== undefined) ? 'postgres://' : undefined
}
