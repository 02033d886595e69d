import type { Client, Connection } from 'pg'

/** A server that is told that a connection ends is given this long. */
const END_TIMEOUT_MS = 2_000

/** Ends a connection. One that the server does not close in time is broken: it may not hear us. */
export async function endClient(client: Client): Promise<void> {
  const timer = setTimeout(() => breakConnection(client), END_TIMEOUT_MS)
  await client.end().finally(() => clearTimeout(timer))
}

/** Breaks a connection without a word: whatever it waits for fails, and the server rolls back. */
export function breakConnection(client: Client): void {
  connectionOf(client).stream.destroy()
}

/** What pg's types leave out of a client. Its stream is the socket, or what somebody has made in its place. */
export function connectionOf(client: Client): Connection {
  return (client as Client & { readonly connection: Connection }).connection
}
