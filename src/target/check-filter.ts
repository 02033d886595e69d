import type { Client } from 'pg'
import { copyLine, isFault, wrapServerError } from './server-error.ts'

/** A condition of COPY that leaves out the rows that would break a check of the table, and tells which they are. */
export interface CheckFilter {
  readonly where: string
}

/**
 * The filter for some checks; null for none.
 *
 * Why: COPY says in the context of a notice which of its rows it was about. A function that is declared stable is called for
 *      each row that breaks a check, and does not make COPY insert row by row, as a volatile one would. The columns of the
 *      checks in a temporary table, and a query over it, took a third of the time of a load of lineitem with one check.
 */
export function checkFilter(checks: readonly string[]): CheckFilter | null {
  if (checks.length === 0) return null
  const broken = checks.map((check) => `(${check}) is false`).join(' or ')
  return { where: `case when ${broken} then ${LEAVE_OUT}() else true end` }
}

const LEAVE_OUT = 'pg_temp.millrace_leave_out'
const NOTICE = 'millrace: the row breaks a check'

/** Makes what a filter calls, within the open transaction; false where the server refuses that, for want of a right most often. */
export async function makeLeaveOut(client: Client): Promise<boolean> {
  try {
    await client.query(`savepoint leave_out; set local client_min_messages = notice;
      create or replace function ${LEAVE_OUT}() returns bool stable language plpgsql as $millrace$
      begin
        raise notice '${NOTICE}';
        return false;
      end $millrace$`)
    return true
  } catch (thrown) {
    const error = wrapServerError(thrown)
    if (isFault(error)) throw error
    await client.query('rollback to savepoint leave_out')
    return false
  }
}

/** For the end of the transaction: its session may be somebody else's next. */
export async function dropLeaveOut(client: Client): Promise<void> {
  await client.query(`drop function ${LEAVE_OUT}()`)
}

/** The rows of one COPY that the filter has left out. */
export class LeftOutRows {
  readonly #client: Client
  readonly #places: (number | undefined)[] = []
  readonly #onNotice = (notice: {
    message: string | undefined
    where?: string | undefined
  }): void => {
    if (notice.message !== NOTICE) return
    const line = copyLine(notice.where)
    this.#places.push(line === undefined ? undefined : line - 1)
  }

  /** Listens until it is closed. */
  constructor(client: Client) {
    this.#client = client
    client.on('notice', this.#onNotice)
  }

  /** By their places among the rows that were sent, ascending; undefined where the server has told of some without a place. */
  get places(): readonly (number | undefined)[] {
    return this.#places
  }

  close(): void {
    this.#client.off('notice', this.#onNotice)
  }
}
