import type { Client, Connection } from 'pg'
import { toError } from '../core/errors.ts'
import { wrapServerError } from './server-error.ts'

/** The parts of pg's connection that its types leave out. */
interface CopyConnection extends Connection {
  endCopyFrom(): void
  sendCopyFail(reason: string): void
}

/** Connections of which the server waits for more of a COPY, as long as it likes. */
const open = new WeakSet<Connection>()

/** Whether a COPY is open over a connection: nothing is waited for from the server then. */
export function isCopyOpen(connection: Connection): boolean {
  return open.has(connection)
}

/**
 * One `COPY ... FROM STDIN`: CopyInResponse, CopyData ..., CopyDone or CopyFail, ReadyForQuery.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 *
 * Shape:  `write` settles when the kernel has the bytes, so that their buffer can be used again; `end` and `fail` settle
 *         when the server has answered; every promise settles, also when the connection is lost.
 * Errors: TARGET_ROW_REFUSED and TARGET_REFUSED with what the server said, TARGET_CONNECTION_LOST.
 * Why:    pg-copy-streams 7 writes a header of five bytes by itself for every piece of data, and calls back when the
 *         socket's queue has room, not when the bytes have left: buffers could not be used again. Here the header is
 *         part of the block.
 */
export class CopyIn {
  /**
   * Read by pg: a COPY takes as long as it takes, whatever the caller has set for the client. When that time is over pg goes
   * on with its next query, which the server takes for a part of the COPY.
   */
  readonly query_timeout = 2 ** 31 - 1
  /** What ends that timer, once pg has put its own in place. */
  callback = (): void => undefined
  readonly #text: string
  #connection: CopyConnection | null = null
  readonly #started = deferred<undefined>()
  readonly #finished = deferred<number>()
  #rows = 0
  readonly #completed: string[] = []
  #error: Error | null = null

  constructor(text: string) {
    this.#text = text
  }

  /** Sends the statement, or several of which COPY is the last; resolves when the server asks for data. */
  async begin(client: Client): Promise<void> {
    client.query(this)
    await this.#started.promise
  }

  /** The command tags of the statements before COPY, such as `INSERT 0 1`. */
  get completed(): readonly string[] {
    return this.#completed
  }

  /** Resolves with the number of rows when the server has taken them, rejects when something failed. */
  get ended(): Promise<number> {
    return this.#finished.promise
  }

  /** Whether the server has refused something: what is sent now is thrown away. */
  get failed(): boolean {
    return this.#error !== null
  }

  /** Sends bytes that already are CopyData messages. */
  async write(message: Uint8Array): Promise<void> {
    if (this.#error !== null) throw this.#error
    const { stream } = this.#connected()
    await new Promise<void>((resolve, reject) => {
      stream.write(message, (error) => {
        if (error == null) resolve()
        else reject(wrapServerError(error))
      })
    })
  }

  /** Ends the data; resolves with the number of rows the server has taken. */
  async end(): Promise<number> {
    if (this.#error === null) this.#close().endCopyFrom()
    return this.#finished.promise
  }

  /** Gives the COPY up. Resolves when the server has thrown its rows away. */
  async fail(reason: string): Promise<void> {
    if (this.#error === null) this.#close().sendCopyFail(reason)
    await this.#finished.promise.catch(() => 0) // the server answers CopyFail with the error asked for
  }

  #close(): CopyConnection {
    const connection = this.#connected()
    open.delete(connection)
    return connection
  }

  #connected(): CopyConnection {
    if (this.#connection === null) throw new Error('COPY was not begun')
    return this.#connection
  }

  // What pg calls, in the order of the protocol.

  submit(connection: Connection): void {
    this.#connection = connection as CopyConnection
    connection.query(this.#text)
  }

  handleCopyInResponse(): void {
    open.add(this.#connected())
    this.#started.resolve(undefined)
  }

  handleCommandComplete(message: { text: string }): void {
    if (message.text.startsWith('COPY ')) this.#rows = Number(message.text.slice(5))
    else this.#completed.push(message.text)
  }

  handleReadyForQuery(): void {
    this.callback()
    this.#finished.resolve(this.#rows)
  }

  handleError(error: unknown): void {
    this.callback()
    if (this.#connection !== null) open.delete(this.#connection)
    this.#error = wrapServerError(toError(error))
    this.#started.reject(this.#error)
    this.#finished.reject(this.#error)
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  // Not everyone who could ask does: an error nobody waits for is not a crash.
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}
