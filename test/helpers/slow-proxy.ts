import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** How much of its time a link may make good that timers came too late for. */
const CATCH_UP_MS = 50

/** A narrow way to a server. */
export interface SlowProxy {
  /** The given URL, by way of the proxy. */
  readonly url: string
  /** Bytes that it has let through to the server, over all connections. */
  readonly passed: number
  /** Cuts what is open, and takes no more. */
  close(): Promise<void>
}

/**
 * Opens a proxy to the server of a URL that lets so many bytes a second through to it, over all connections together;
 * what the server says passes at full speed.
 *
 * Shape: nothing is gathered here: bytes that may not pass yet stay in the sender's socket, which is what it feels.
 */
export async function openSlowProxy(to: string, bytesPerSecond: number): Promise<SlowProxy> {
  const server = new URL(to)
  const sockets = new Set<Socket>()
  let passed = 0
  let due = 0 // when all that was let in may have passed, on the clock of performance.now()

  async function* slowly(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      const now = performance.now()
      due = Math.max(due, now - CATCH_UP_MS) + (piece.length / bytesPerSecond) * 1000
      if (due > now) await sleep(due - now)
      passed += piece.length
      yield piece
    }
  }

  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  }

  const listener = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: server.hostname, port: Number(server.port), allowHalfOpen: true })
    keep(near)
    keep(far)
    // A connection that breaks on one side breaks on the other: pipeline sees to it.
    void Promise.allSettled([pipeline(near, slowly, far), pipeline(far, near)])
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const url = new URL(to)
  url.hostname = '127.0.0.1'
  url.port = String((listener.address() as AddressInfo).port)
  return {
    url: url.href,
    get passed() {
      return passed
    },
    async close() {
      const closed = once(listener, 'close')
      listener.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
