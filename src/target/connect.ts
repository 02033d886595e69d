import type { Socket } from 'node:net'
import { Client, escapeLiteral, type QueryResult } from 'pg'
import { MillraceError, TargetError, toError } from '../core/errors.ts'
import { badUrl, readAddress } from './address.ts'
import { breakConnection, connectionOf, endClient } from './end-client.ts'
import { lookUpPassword, type Login, passwordFile } from './password-file.ts'
import {
  borrow,
  CONNECT_TIMEOUT_MS,
  giveBack,
  isExhausted,
  type LentClient,
  type PgPool,
} from './pool.ts'
import { isFault, wrapServerError } from './server-error.ts'
import { tlsConfig, tlsError } from './tls.ts'
import { processOf, type Sight, sightOf, UNKNOWN, UNREACHABLE, watch } from './watch.ts'

const IO_TIMEOUT_MS = 60_000

/** Where connections come from: a `postgres://` URL, whose gaps the PG* variables fill, or a pool of the caller's. */
export type Server = string | PgPool

/** Where the server is and who asks. Plain where the server is a URL: it goes to the lanes' threads then. */
export interface ConnectionTarget {
  readonly server: Server
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
  /** A server that says nothing for so many milliseconds is asked whether it is still there; 60 s by default. */
  readonly ioTimeout?: number | undefined
}

/**
 * Opens a connection for loading, with settings of its own in `session`.
 *
 * Life:   `disconnect` ends it, also when it was lost.
 * Errors: CONFIG_BAD_VALUE for what is no URL of PostgreSQL, TARGET_UNREACHABLE, TARGET_REFUSED (no such database,
 *         wrong password), TARGET_CONNECTION_LOST when it is to stop.
 */
export async function connect(
  target: ConnectionTarget,
  session = '',
  stop?: AbortSignal,
): Promise<Client> {
  const timeout = target.ioTimeout ?? IO_TIMEOUT_MS
  const connecting = openClient(target, Math.min(timeout, CONNECT_TIMEOUT_MS), stop)
  const client = await connecting.catch((error: unknown) => {
    throw connectError(error)
  })
  // A connection that dies while nothing is asked of it tells the next query; without a listener it would end the process.
  client.on('error', () => undefined)
  let pid = processOf(client)
  watch(client, timeout, () => lookAt(target, pid, Math.min(timeout / 4, CONNECT_TIMEOUT_MS)))
  try {
    const name = escapeLiteral(target.applicationName)
    const asked = `set application_name = ${name}; ${SESSION}; ${session}; select pg_catalog.pg_backend_pid() as pid`
    const found = (await client.query(asked)) as unknown as QueryResult<{ pid: number }>[]
    // Behind a pooler the server's process is another one with each transaction.
    if (found.at(-1)?.rows[0]?.pid !== pid) pid = null
    return client
  } catch (error) {
    await disconnect(target, client).catch(() => undefined)
    throw connectError(error)
  }
}

/** Ends a connection. One of a pool goes back closed: it is not left to others with this session's settings. */
export async function disconnect({ server }: ConnectionTarget, client: Client): Promise<void> {
  if (typeof server === 'string') await endClient(client)
  else await giveBack(client as LentClient, { close: true })
}

/**
 * Connects in place of a lost connection, and ends what the server still has of that: it may not have noticed, and holds
 * locks.
 *
 * Errors: as those of connect().
 */
export async function reconnect(
  target: ConnectionTarget,
  lost: Client | null,
  session = '',
  stop?: AbortSignal,
): Promise<Client> {
  const client = await connect(target, session, stop)
  if (lost === null) return client
  try {
    // By its name too: behind a pooler, or after a while, the number may be of somebody else.
    await client.query(
      `select pg_catalog.pg_terminate_backend(pid) from pg_stat_activity
        where pid = $1 and application_name = $2 and datname = current_database() and usename = current_user`,
      [processOf(lost), target.applicationName],
    )
    return client
  } catch (error) {
    await disconnect(target, client).catch(() => undefined)
    throw connectError(error)
  }
}

async function openClient(
  { server, applicationName }: ConnectionTarget,
  timeout: number,
  stop?: AbortSignal,
): Promise<Client> {
  if (typeof server !== 'string') return borrow(server, timeout)
  const client = await newClient(server, applicationName, timeout)
  const abort = (): void => breakConnection(client)
  stop?.addEventListener('abort', abort)
  client.on('error', () => undefined)
  try {
    await client.connect()
    return client
  } catch (error) {
    await endClient(client).catch(() => undefined)
    throw error
  } finally {
    stop?.removeEventListener('abort', abort)
  }
}

/** What the server does for a client, asked over another connection. */
async function lookAt(
  target: ConnectionTarget,
  pid: number | null,
  timeout: number,
): Promise<Sight> {
  const { server } = target
  if (typeof server !== 'string' && isExhausted(server)) return UNKNOWN
  const asking = { server, applicationName: 'millrace watch' }
  try {
    const client = await openClient(asking, timeout)
    client.on('error', () => undefined)
    const late = setTimeout(() => breakConnection(client), timeout)
    try {
      return await sightOf(client, pid)
    } finally {
      clearTimeout(late)
      await disconnect(asking, client).catch(() => undefined)
    }
  } catch (thrown) {
    const error = connectError(thrown)
    // A server that says why it does not let us in is there.
    const answered = error instanceof TargetError && error.server.sqlstate !== undefined
    return answered || !isFault(error) ? UNKNOWN : UNREACHABLE
  }
}

async function newClient(url: string, applicationName: string, timeout: number): Promise<Client> {
  const address = await readAddress(url)
  const { parts, host, password, setting } = address
  // Only asked for when the server wants one. pg's types leave out that it tells whose: without a user's name that is its own.
  const findPassword = async (login?: Login): Promise<string> =>
    password ?? (await lookUpPassword(passwordFile(setting('passfile')), login!)) ?? ''
  const tls = await tlsConfig(address)
  try {
    return new Client({
      ...parts,
      ...tls,
      host,
      password: findPassword,
      application_name: applicationName,
      connectionTimeoutMillis: timeout,
      keepAlive: true,
      keepAliveInitialDelayMillis: 15_000,
    })
  } catch (error) {
    throw badUrl(toError(error).message)
  }
}

/** What pg itself has to say about connecting, beside the server and the socket. */
function connectError(thrown: unknown): Error {
  const error = wrapServerError(thrown)
  if (error instanceof MillraceError) return error
  const ofTls = tlsError(error)
  if (ofTls !== null) return ofTls
  const { message } = error
  if (message.startsWith('timeout')) {
    const text = 'cannot reach the server: no answer in time'
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

/** Whether connect() of a client was not called, or has not come to its end: what is asked of it may never be answered. */
export function isUnconnected(client: Client): boolean {
  // A socket of somebody's own does not tell.
  const { pending, destroyed } = connectionOf(client).stream as Partial<Socket>
  return pending === true && destroyed === false
}

/**
 * The server notices within a minute when this end is gone without a word, and gives the job free; a load takes as
 * long as it takes, and a lane's connection waits while types are inferred.
 */
const SESSION = `
  set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3;
  set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; set idle_session_timeout = 0;
  set client_min_messages = warning`
