/**
 * Who uses the server: every command holds one connection with a shared advisory lock, and the last one to leave stops
 * the server. The lock goes with its connection, so a command that was killed holds nothing.
 */

/** What this room needs of a driver. A connection that breaks must show as a rejected query, and in no other way. */
export interface Connection {
  query(sql: string): Promise<{ rows: readonly object[] }>
  end(): Promise<void>
}

export type Connect = (url: string) => Promise<Connection>

/** 'millrace' in hex. In the database `postgres`, since advisory locks belong to a database and loads have their own. */
const lock = 0x6d696c6c7261n

/** Joins the users of the server. Waits while the last one is leaving, and then fails, as the server goes with it. */
export async function join(connect: Connect, url: string): Promise<Connection> {
  const connection = await connect(url)
  try {
    await connection.query(`set lock_timeout = '10s'`)
    await connection.query(`select pg_advisory_lock_shared(${lock})`)
    return connection
  } catch (error) {
    await close(connection)
    throw error
  }
}

/**
 * Leaves, and tells whether we were the last: then nobody can join before the connection is closed.
 *
 * Order: first give up the shared lock, then try for the exclusive one. The other way round two that leave at once
 *        would each see the other and both go, with the server left running.
 */
export async function leave(connection: Connection): Promise<'last' | 'others remain'> {
  await connection.query(`select pg_advisory_unlock_shared(${lock})`)
  return tryAlone(connection)
}

/** The second half of `leave`, for a connection that does not hold the shared lock. */
export async function tryAlone(connection: Connection): Promise<'last' | 'others remain'> {
  const { rows } = await connection.query(`select pg_try_advisory_lock(${lock})::int as alone`)
  return (rows[0] as { alone?: number } | undefined)?.alone === 1 ? 'last' : 'others remain'
}

/** Closes a connection that may be closed already. */
export async function close(connection: Connection): Promise<void> {
  await connection.end().catch(() => undefined)
}
