import type { Client } from 'pg'
import { ConfigError } from '../core/errors.ts'
import { connect, disconnect, isUnconnected } from './connect.ts'
import { borrow, CONNECT_TIMEOUT_MS, giveBack, type PgClient, type PgPool } from './pool.ts'

/** What a connection comes from: a `postgres://` URL, a pool of the package `pg`, or a client that is connected. */
export type ClientSource = string | PgPool | PgClient

/**
 * Works over a connection: one of its own, one that a pool lends, or the caller's.
 *
 * Errors: as connect(); CONFIG_USAGE for a client that is not connected, or worked over already; what the work throws.
 */
export async function useClient<T>(
  source: ClientSource,
  applicationName: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  if (typeof source === 'string') {
    const target = { server: source, applicationName }
    const client = await connect(target)
    return work(client).finally(() => disconnect(target, client).catch(() => undefined))
  }
  if (isClient(source)) {
    if (isUnconnected(source as Client)) throw unconnected()
    return alone(source as Client, () => heard(source as Client, work))
  }
  const client = await borrow(source, CONNECT_TIMEOUT_MS)
  let close = true // after a failure: its connection may be about to end, or a transaction still be open
  try {
    const result = await heard(client, work)
    close = false
    return result
  } finally {
    await giveBack(client, { close })
  }
}

function isClient(source: PgPool | PgClient): source is PgClient {
  return 'connection' in source
}

/** Callers' clients that are worked over. */
const busy = new WeakSet<Client>()

/** Two works over one client would be in one transaction, and the end of one would keep half of the other. */
async function alone<T>(client: Client, work: () => Promise<T>): Promise<T> {
  if (busy.has(client)) {
    throw new ConfigError('CONFIG_USAGE', 'the client is copying other rows at the moment', {
      hint: 'wait for one to end before the next begins, or use a pool',
    })
  }
  busy.add(client)
  return work().finally(() => busy.delete(client))
}

/** A connection that dies meanwhile tells the query under way; without a listener it would also end the process. */
async function heard<T>(client: Client, work: (client: Client) => Promise<T>): Promise<T> {
  const onError = (): void => undefined
  client.on('error', onError)
  try {
    return await work(client)
  } finally {
    client.off('error', onError)
  }
}

function unconnected(): ConfigError {
  return new ConfigError('CONFIG_USAGE', 'the client is not connected', {
    hint: 'await client.connect() before',
  })
}
