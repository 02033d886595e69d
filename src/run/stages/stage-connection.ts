import { TargetError } from '../../core/errors.ts'
import type { QueryValue, TargetQueries, TextRow } from '../../stage/stage.ts'
import type { ConnectionTarget } from '../../target/connect.ts'
import { queryText } from '../../target/query.ts'
import { isFault } from '../../target/server-error.ts'
import { LaneConnection } from '../lanes/lane-connection.ts'

/** SQLSTATE of what may not be done where nothing may be written. */
const READ_ONLY = '25006'
/** What is only read may be asked again over another connection. */
const ONLY_READ = 'set default_transaction_read_only = on'

/**
 * A lane's second connection, for what its stages ask: opened when they first do, and again after a loss.
 *
 * Shape: queries are sent one after the other.
 * Life:  `close` on every path.
 */
export class StageConnection implements TargetQueries {
  readonly #target: ConnectionTarget
  readonly #retryFor: number
  #connection: LaneConnection | null = null
  #givenUp = false
  /** Queries that are not answered yet. */
  #open = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(target: ConnectionTarget, retryFor: number) {
    this.#target = target
    this.#retryFor = retryFor
  }

  query(text: string, values: readonly QueryValue[] = []): Promise<readonly TextRow[]> {
    this.#open++
    const result = this.#turn.then(() => this.#ask(text, values))
    this.#turn = result.then(
      () => this.#open--,
      () => this.#open--,
    )
    return result
  }

  /** Breaks the connection, for good: what waits for it fails. */
  giveUp(): void {
    this.#givenUp = true
    this.#connection?.giveUp()
  }

  /** Whoever still waits for an answer is told that none will come. */
  async close(): Promise<void> {
    if (this.#open > 0) this.giveUp()
    this.#givenUp = true
    await this.#connection?.close()
  }

  async #ask(text: string, values: readonly QueryValue[]): Promise<readonly TextRow[]> {
    if (this.#givenUp) throw new Error('the connection of the stages was given up')
    const connection = (this.#connection ??= new LaneConnection(
      this.#target,
      ONLY_READ,
      this.#retryFor,
    ))
    for (let asked = connection.client; ;) {
      try {
        const rows = await queryText(await asked, text, values)
        connection.progressed()
        return rows
      } catch (error) {
        if (!isFault(error) || this.#givenUp) throw error
        if (error.server.sqlstate === READ_ONLY) throw onlyRead(error)
        asked = connection.reopen(error)
      }
    }
  }
}

/** That nothing may be written is our own doing, and does not pass. */
function onlyRead(error: TargetError): TargetError {
  const { server } = error
  return new TargetError('TARGET_REFUSED', 'a stage may read from the database, not write', {
    server,
    cause: error,
  })
}
