import type { Socket } from 'node:net'
import { Client, type Connection, escapeLiteral } from 'pg'
import { ConfigError, MillraceError, TargetError, toError } from '../core/errors.ts'
import { borrow, CONNECT_TIMEOUT_MS, giveBack, type LentClient, type PgPool } from './pool.ts'
import { wrapServerError } from './server-error.ts'

/** Where connections come from: a `postgres://` URL, whose gaps the PG* variables fill, or a pool of the caller's. */
export type Server = string | PgPool

/** Where the server is and who asks. Plain where the server is a URL: it goes to the lanes' threads then. */
export interface ConnectionTarget {
  readonly server: Server
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
}

/**
 * Opens a connection for loading, with settings of its own in `session`.
 *
 * Life:   `disconnect` ends it.
 * Errors: CONFIG_BAD_VALUE for what is no URL of PostgreSQL, TARGET_UNREACHABLE, TARGET_REFUSED (no such database,
 *         wrong password).
 */
export async function connect(target: ConnectionTarget, session = ''): Promise<Client> {
  const client = await openClient(target).catch((error: unknown) => {
    throw connectError(error)
  })
  // A connection that dies while nothing is asked of it tells the next query; without a listener it would end the process.
  client.on('error', () => undefined)
  try {
    const name = escapeLiteral(target.applicationName)
    await client.query(`set application_name = ${name}; ${SESSION}; ${session}`)
    return client
  } catch (error) {
    await disconnect(target, client).catch(() => undefined)
    throw connectError(error)
  }
}

/** Ends a connection. One of a pool goes back closed: it is not left to others with this session's settings. */
export async function disconnect({ server }: ConnectionTarget, client: Client): Promise<void> {
  if (typeof server === 'string') await client.end()
  else await giveBack(client as LentClient, { close: true })
}

async function openClient({ server, applicationName }: ConnectionTarget): Promise<Client> {
  if (typeof server !== 'string') return borrow(server, CONNECT_TIMEOUT_MS)
  const client = newClient(server, applicationName)
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }
}

function newClient(url: string, applicationName: string): Client {
  if (!/^(postgres|postgresql|socket):|^\//.test(url)) throw badUrl('it does not begin so')
  try {
    return new Client({
      connectionString: url,
      application_name: applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: 15_000,
    })
  } catch (error) {
    throw badUrl(toError(error).message)
  }
}

/** Without the error of pg as its cause: that one holds the URL, and so the password. */
function badUrl(reason: string): ConfigError {
  const message = `the address of the server is no postgres:// URL: ${reason}`
  return new ConfigError('CONFIG_BAD_VALUE', message, {
    hint: 'as in --to postgres://user@host:5432/database',
  })
}

/** What pg itself has to say about connecting, beside the server and the socket. */
function connectError(thrown: unknown): Error {
  const error = wrapServerError(thrown)
  if (error instanceof MillraceError) return error
  const { message } = error
  if (message.startsWith('timeout')) {
    const seconds = String(CONNECT_TIMEOUT_MS / 1000)
    const text = `cannot reach the server: no answer within ${seconds} s`
    return new TargetError('TARGET_UNREACHABLE', text, { cause: error, retryable: true })
  }
  if (message.startsWith('SASL') && message.includes('password')) {
    return new TargetError('TARGET_REFUSED', 'the server asks for a password, none was given', {
      cause: error,
      hint: 'put it into --to, PGPASSWORD or ~/.pgpass',
    })
  }
  return new TargetError('TARGET_REFUSED', `cannot connect to the server: ${message}`, {
    cause: error,
    hint: 'check the address, user and sslmode of --to',
  })
}

/** Breaks a connection without a word: whatever it waits for fails, and the server rolls back. */
export function breakConnection(client: Client): void {
  streamOf(client).destroy()
}

/** Whether connect() of a client was not called, or has not come to its end: what is asked of it may never be answered. */
export function isUnconnected(client: Client): boolean {
  // A socket of somebody's own does not tell.
  const { pending, destroyed } = streamOf(client) as Partial<Socket>
  return pending === true && destroyed === false
}

function streamOf(client: Client): Connection['stream'] {
  return (client as Client & { readonly connection: Connection }).connection.stream
}

/**
 * The server notices within a minute when this end is gone without a word, and gives the job free; a load takes as
 * long as it takes, and a lane's connection waits while types are inferred.
 */
const SESSION = `
  set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3;
  set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set idle_session_timeout = 0;
  set client_min_messages = warning`
