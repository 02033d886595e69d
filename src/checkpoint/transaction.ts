import type { Client } from 'pg'
import { TargetError, toError } from '../core/errors.ts'

/**
 * Runs work between BEGIN and COMMIT.
 *
 * Errors: what the work throws, after ROLLBACK; when ROLLBACK fails too, an AggregateError of both. TARGET_REFUSED when
 *         another statement of the same client has failed meanwhile: COMMIT rolls back then, without an error.
 */
export async function inTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query('begin')
  try {
    const result = await work()
    const { command } = await client.query('commit')
    if (command !== 'COMMIT') throw rolledBack()
    return result
  } catch (error) {
    await rollBack(client, toError(error))
    throw error
  }
}

/** Rolls back after an error. Errors: an AggregateError of it and of what ROLLBACK says. */
export async function rollBack(client: Client, error: Error, sql = 'rollback'): Promise<void> {
  try {
    await client.query(sql)
  } catch (failure) {
    const message = `${error.message}; and ROLLBACK failed: ${toError(failure).message}`
    throw new AggregateError([error, toError(failure)], message)
  }
}

function rolledBack(): TargetError {
  const message = 'the transaction was rolled back: another statement in it has failed'
  return new TargetError('TARGET_REFUSED', message, {
    hint: 'ask nothing else of a client while it is in use',
  })
}
