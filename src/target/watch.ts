import type { Socket } from 'node:net'
import type { Client } from 'pg'
import { isCopyOpen } from './copy-in.ts'
import { breakConnection, connectionOf } from './end-client.ts'

/**
 * What the server says it does for a connection: `busy` with it; or not, and then what it has come to. `unknown` when it
 * could not be asked for a reason of ours.
 */
export type Sight =
  { readonly type: 'busy' | 'unknown' } | { readonly type: 'silent'; readonly sign: string }

export const UNKNOWN: Sight = { type: 'unknown' }
/** Nobody answers at all. */
export const UNREACHABLE: Sight = { type: 'silent', sign: 'unreachable' }

/** A part of the time a connection may be silent: half of it passes before anybody looks, a look is made twice. */
const LOOKS = 4

/**
 * Breaks a connection over which nothing comes through any more, though neither end was told: the server would be waited for
 * without end.
 *
 * Shape: when a connection is waited for and has been silent for half of `timeout`, the server is asked over another one. It
 *        is left alone while the server works for it, or waits for a lock. It is broken when the server waits for us, does
 *        not know it or does not answer, and has not got any further at a second look: within `timeout` and the time that
 *        a look takes.
 * Life:  until the connection has ended.
 * Why:   TCP keepalive notices a host that is gone, not a firewall or a proxy that has forgotten the connection and still
 *        acknowledges; and a limit on statements would end a COPY that waits for a lock.
 */
export function watch(client: Client, timeout: number, look: () => Promise<Sight>): void {
  let sign = ''
  let since = 0
  let seen: string | null = null
  let looking = false
  const check = async (): Promise<void> => {
    const now = performance.now()
    const before = sign
    sign = progressOf(client)
    if (sign !== before || !isAwaited(client)) {
      since = now
      seen = null
    }
    if (now - since < timeout / 2) return
    const sight = await look()
    if (progressOf(client) !== sign || !isAwaited(client)) return
    if (sight.type !== 'silent') since = performance.now()
    else if (sight.sign === seen) breakConnection(client)
    seen = sight.type === 'silent' ? sight.sign : null
  }
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    void check().finally(() => (looking = false))
  }, timeout / LOOKS)
  timer.unref()
  client.once('end', () => clearInterval(timer))
}

/** The number of the server's process, as it has introduced itself. */
export function processOf(client: Client): number | null {
  return (client as Client & { readonly processID: number | null }).processID
}

/** Asks what the server does for a process, null where it is not known which. */
export async function sightOf(client: Client, pid: number | null): Promise<Sight> {
  const found = await client.query<{ isWaiting: boolean; sign: string }>(
    `select a.state <> 'active' or a.wait_event_type = 'Client' is true as "isWaiting",
            pg_catalog.concat_ws(' ', a.state_change, a.wait_event, c.bytes_processed) as sign
       from pg_stat_activity a left join pg_stat_progress_copy c on c.pid = a.pid
      where a.pid = $1`,
    [pid],
  )
  const row = found.rows[0]
  if (pid === null) return UNKNOWN
  if (row === undefined) return { type: 'silent', sign: 'no such process' }
  return row.isWaiting ? { type: 'silent', sign: row.sign } : { type: 'busy' }
}

/** Bytes that have come and gone. */
function progressOf(client: Client): string {
  const { bytesRead, bytesWritten, writableLength } = connectionOf(client).stream as Partial<Socket>
  return `${String(bytesRead)} ${String((bytesWritten ?? 0) - (writableLength ?? 0))}`
}

/** Whether the server is to do something: answer, or take what was written. */
function isAwaited(client: Client): boolean {
  const { readyForQuery } = client as Client & { readonly readyForQuery: boolean }
  const connection = connectionOf(client)
  const { writableLength } = connection.stream as Partial<Socket>
  return (writableLength ?? 0) > 0 || (!readyForQuery && !isCopyOpen(connection))
}
