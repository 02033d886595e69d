import type { Client } from 'pg'
import { inTransaction, rollBack } from '../checkpoint/transaction.ts'
import { toError } from '../core/errors.ts'

/**
 * Runs work that leaves all it does in the database, or nothing: in a transaction of its own, or behind a savepoint of the
 * one that the client is in.
 *
 * Errors: what the work throws, after ROLLBACK; when ROLLBACK fails too, an AggregateError of both.
 */
export async function allOrNothing<T>(client: Client, work: () => Promise<T>): Promise<T> {
  return (await beginSavepoint(client))
    ? behindSavepoint(client, work)
    : inTransaction(client, work)
}

const SAVEPOINT = 'millrace_rows'
const NO_TRANSACTION = '25P01'

/** Sets a savepoint; false where there is no transaction. */
async function beginSavepoint(client: Client): Promise<boolean> {
  // Older versions of pg do not tell; asking the server leaves a line in its log.
  const { getTransactionStatus } = client as { getTransactionStatus?: () => string | null }
  if (getTransactionStatus?.call(client) === 'I') return false
  try {
    await client.query(`savepoint ${SAVEPOINT}`)
    return true
  } catch (error) {
    if ((error as { code?: unknown }).code === NO_TRANSACTION) return false
    throw error
  }
}

async function behindSavepoint<T>(client: Client, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work()
    await client.query(`release savepoint ${SAVEPOINT}`)
    return result
  } catch (error) {
    await rollBack(
      client,
      toError(error),
      `rollback to savepoint ${SAVEPOINT}; release savepoint ${SAVEPOINT}`,
    )
    throw error
  }
}
