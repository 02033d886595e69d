import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A message that a client has sent, by its letter in the protocol; 'startup' is the one without. */
export interface Sent {
  readonly type: string
  readonly body: Buffer
}

/** A way to a server on which everything is noted that clients send. */
export interface RecordingProxy {
  readonly url: string
  readonly sent: readonly Sent[]
  /** The SQL of simple queries (Q) and of prepared ones (P), in the order they came in. */
  statements(): string[]
  /** Cuts what is open, and takes no more. */
  close(): Promise<void>
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
export async function openRecordingProxy(to: string): Promise<RecordingProxy> {
  const server = new URL(to)
  const sockets = new Set<Socket>()
  const sent: Sent[] = []

  const listener = createServer((near) => {
    const far = connect({ host: server.hostname, port: Number(server.port) })
    const take = messageReader((message) => sent.push(message))
    near.on('data', take)
    near.pipe(far).pipe(near)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => sockets.delete(socket))
    }
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const url = new URL(to)
  url.port = String((listener.address() as AddressInfo).port)
  return {
    url: url.href,
    sent,
    statements: () => sent.flatMap(statementOf),
    async close() {
      const closed = once(listener, 'close')
      listener.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function statementOf({ type, body }: Sent): string[] {
  if (type === 'Q') return [body.toString('utf8', 0, body.length - 1)]
  if (type !== 'P') return []
  const start = body.indexOf(0) + 1 // behind the name
  return [body.toString('utf8', start, body.indexOf(0, start))]
}

/** Cuts what comes in pieces into messages; the first has no letter. */
function messageReader(onMessage: (message: Sent) => void): (piece: Buffer) => void {
  let rest = Buffer.alloc(0)
  let started = false
  return (piece) => {
    rest = Buffer.concat([rest, piece])
    for (;;) {
      const head = started ? 1 : 0
      if (rest.length < head + 4) return
      const length = head + rest.readUInt32BE(head)
      if (rest.length < length) return
      const type = started ? rest.toString('latin1', 0, 1) : 'startup'
      onMessage({ type, body: Buffer.from(rest.subarray(head + 4, length)) })
      rest = rest.subarray(length)
      started = true
    }
  }
}
