import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { TargetError } from '../core/errors.ts'
import { endClient } from './end-client.ts'

/** How long a connection is waited for. */
export const CONNECT_TIMEOUT_MS = 10_000

/** A client of the package `pg`, as far as it is used. */
export interface PgClient {
  query(text: string): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** A pool of the package `pg`, as far as it is used. */
export interface PgPool {
  connect(): Promise<PgClient & { release(destroy?: boolean): void }>
  readonly options?: { readonly max?: number }
  readonly totalCount?: number
}

/** A client that a pool has lent. */
export interface LentClient extends Client {
  release(destroy?: boolean): void
}

/**
 * Borrows a client.
 *
 * Errors: what the pool throws; TARGET_UNREACHABLE when it lends none in time.
 */
export async function borrow(pool: PgPool, milliseconds: number): Promise<LentClient> {
  const timer = new AbortController()
  const lent = pool.connect() as unknown as Promise<LentClient>
  const late = sleep(milliseconds, null, { signal: timer.signal }).catch(() => null)
  const client = await Promise.race([lent, late]).finally(() => timer.abort())
  if (client !== null) return client
  lent.then((unwanted) => unwanted.release()).catch(() => undefined) // it comes too late to be told of
  const seconds = String(milliseconds / 1000)
  const message = `the pool has lent no connection within ${seconds} s`
  throw new TargetError('TARGET_UNREACHABLE', message, {
    retryable: true,
    hint: 'give the pool a higher max, or use fewer of its connections at a time',
  })
}

/** Whether a pool has lent all it may. */
export function isExhausted({ options, totalCount }: PgPool): boolean {
  return (totalCount ?? 0) >= (options?.max ?? Infinity)
}

/** Gives a client back; closed, when its session was changed, or is in doubt. */
export async function giveBack(client: LentClient, { close }: { close: boolean }): Promise<void> {
  try {
    if (close) await endClient(client)
  } finally {
    client.release(close)
  }
}
