import type { Client } from 'pg'
import { type ClaimScope, claimSql, recountSql } from '../checkpoint/claims.ts'
import { fencedError } from '../checkpoint/job.ts'
import { type Reject, rejectsCopySql, rejectsText } from '../checkpoint/rejects.ts'
import type { Range } from '../chunk/range.ts'
import { TargetError, toError } from '../core/errors.ts'
import type { CarefulClaim } from './careful-chunk.ts'
import { CopyIn } from './copy-in.ts'
import { wrapServerError } from './server-error.ts'

/** The claim of a range of an input: it is kept with the counts that the range has come to, and with its rejects. */
export function rangeClaim(scope: ClaimScope): CarefulClaim {
  return {
    take(client, { range, counts, rows, rejects }) {
      const expected = { ...counts, loaded: rows, rejected: rejects.length }
      return insertClaim(client, claimSql(scope, range, expected))
    },
    async keep(client, { range, counts }, rejects, loaded) {
      await keepRejects(client, scope, range, rejects)
      const rejected = rejects.length
      await client.query(recountSql(scope, range, { ...counts, loaded, rejected }))
    },
  }
}

/** False when the range was committed before. Errors: CHECKPOINT_FENCED. */
async function insertClaim(client: Client, sql: string): Promise<boolean> {
  try {
    const { rowCount } = await client.query(sql)
    if (rowCount !== 1) throw fencedError()
    return true
  } catch (thrown) {
    const error = wrapServerError(thrown)
    if (error instanceof TargetError && error.server.sqlstate === UNIQUE_VIOLATION) return false
    throw error
  }
}

const UNIQUE_VIOLATION = '23505'

async function keepRejects(
  client: Client,
  scope: ClaimScope,
  range: Range,
  rejects: readonly Reject[],
): Promise<void> {
  if (rejects.length === 0) return
  const copy = new CopyIn(rejectsCopySql(scope))
  await copy.begin(client)
  try {
    for (let from = 0; from < rejects.length; from += REJECTS_AT_ONCE) {
      const text = rejectsText(scope, range, rejects.slice(from, from + REJECTS_AT_ONCE))
      await copy.write(copyData(text))
    }
    await copy.end()
  } catch (error) {
    await copy.fail('the client gave up')
    throw toError(error)
  }
}

const REJECTS_AT_ONCE = 256

/** https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-COPYDATA */
function copyData(text: string): Buffer {
  const message = Buffer.allocUnsafe(5 + Buffer.byteLength(text))
  message[0] = 0x64
  message.writeInt32BE(message.length - 1, 1)
  message.write(text, 5)
  return message
}
