import { Readable } from 'node:stream'

/** Chunks that wait for whoever reads them. */
const WAITING = 2

/**
 * A Readable over a generator.
 *
 * Life: when it is destroyed `close` comes first, so that what the generator waits for ends.
 */
export function readableOf<T>(items: AsyncGenerator<T>, close: () => Promise<void>): Readable {
  return new Readable({
    objectMode: true,
    highWaterMark: WAITING,
    read() {
      items.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error as Error),
      )
    },
    destroy(error, callback) {
      close()
        .then(() => items.return(undefined))
        .then(
          () => callback(error),
          (failure: unknown) => callback(error ?? (failure as Error)),
        )
    },
  })
}
