import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { type Message, MessageCutter } from './messages.ts'

/**
 * What becomes of a message: it passes; its connection is cut before it; it passes and its connection is cut when the server
 * answers, before the answer; its connection goes silent before it, or before its answer, and neither side is told.
 */
export type Verdict = 'pass' | 'cut' | 'lose answer' | 'stall' | 'stall answer'

/** How bytes pass, in both directions. */
export interface Shape {
  /** Milliseconds, and by how many more or less. */
  readonly latency?: number
  readonly jitter?: number
  readonly bytesPerSecond?: number
  /** Bytes that are sent at a time. */
  readonly slice?: number
}

/** Opens a way to a server, on which anything can go wrong. */
export async function openFaultProxy(to: string): Promise<FaultProxy> {
  const proxy = new FaultProxy(to)
  await proxy.listen()
  return proxy
}

export class FaultProxy {
  /** The server; another one is taken for the connections to come. */
  to: string
  /** Judges each message of a client before it is passed on. */
  onMessage: (message: Message) => Verdict | Promise<Verdict> = () => 'pass'
  /** Told when the answer to a message was lost, as its verdict says. */
  onLost: () => void = () => undefined
  shape: Shape = {}
  /** All connections are cut when so many bytes have gone to the server. */
  cutAtByte = Infinity
  /** So many of the next connections are taken, and nothing passes over them. */
  hang = 0
  /** Whether connections are closed as soon as they come. */
  refuse = false
  /** Bytes that have gone to the server. */
  passed = 0
  messages = 0
  url = ''
  readonly #ways = new Set<Way>()
  readonly #listener = createServer({ allowHalfOpen: true }, (near) => this.#accept(near))

  constructor(to: string) {
    this.to = to
  }

  async listen(): Promise<void> {
    this.#listener.listen(0, '127.0.0.1')
    await once(this.#listener, 'listening')
    const url = new URL(this.to)
    url.hostname = '127.0.0.1'
    url.port = String((this.#listener.address() as AddressInfo).port)
    this.url = url.href
  }

  /** Lets everything pass again over the connections to come. */
  calm(): void {
    this.onMessage = () => 'pass'
    this.onLost = () => undefined
    this.shape = {}
    this.cutAtByte = Infinity
    this.hang = 0
    this.refuse = false
    this.passed = 0
    this.messages = 0
    for (const way of this.#ways) way.end()
  }

  /** Cuts all connections. */
  cut(): void {
    for (const way of this.#ways) way.cut()
  }

  /** Lets nothing pass any more over the connections that are open, and tells nobody. */
  stall(): void {
    for (const way of this.#ways) way.stall()
  }

  async close(): Promise<void> {
    const closed = once(this.#listener, 'close')
    this.#listener.close()
    for (const way of this.#ways) way.end()
    await closed
  }

  #accept(near: Socket): void {
    if (this.refuse) return void near.resetAndDestroy()
    const server = new URL(this.to)
    const far = connect({ host: server.hostname, port: Number(server.port), allowHalfOpen: true })
    const way = new Way(this, near, far, () => this.#ways.delete(way))
    this.#ways.add(way)
    if (this.hang > 0) {
      this.hang--
      way.stall()
    }
    way.open()
  }
}

/** A connection by way of the proxy. */
class Way {
  readonly #proxy: FaultProxy
  readonly #near: Socket
  readonly #far: Socket
  readonly #onEnd: () => void
  readonly #cutter = new MessageCutter()
  #answer: 'pass' | 'cut' | 'stall' = 'pass'
  #stalled = false
  #ended = false

  constructor(proxy: FaultProxy, near: Socket, far: Socket, onEnd: () => void) {
    this.#proxy = proxy
    this.#near = near
    this.#far = far
    this.#onEnd = onEnd
  }

  open(): void {
    for (const socket of [this.#near, this.#far]) {
      socket.setNoDelay(true)
      socket.on('error', () => undefined) // its close says it too
      socket.on('close', () => this.#closed())
    }
    this.#pass(this.#near, this.#far, (bytes) => this.#up(bytes)).catch(() => this.end())
    this.#pass(this.#far, this.#near, (bytes) => this.#down(bytes)).catch(() => this.end())
  }

  stall(): void {
    this.#stalled = true
  }

  /** With a reset, as when a machine between them starts anew. */
  cut(): void {
    if (!this.#near.destroyed) this.#near.resetAndDestroy()
    this.end()
  }

  end(): void {
    this.#ended = true
    this.#near.destroy()
    this.#far.destroy()
    this.#onEnd()
  }

  /** Over a silent connection nobody hears that the other has gone. */
  #closed(): void {
    if (!this.#stalled) this.end()
  }

  async #pass(from: Socket, to: Socket, take: (bytes: Buffer) => Promise<void>): Promise<void> {
    for await (const bytes of from as AsyncIterable<Buffer>) await take(bytes)
    if (!this.#stalled) to.end()
  }

  async #up(bytes: Buffer): Promise<void> {
    for (const { begins, bytes: piece } of this.#cutter.push(bytes)) {
      if (begins !== null) await this.#judge({ ...begins, number: ++this.#proxy.messages })
      if (this.#ended) return
      const room = this.#proxy.cutAtByte - this.#proxy.passed
      if (piece.length >= room) {
        await this.#send(this.#far, piece.subarray(0, room))
        this.#proxy.cutAtByte = Infinity
        this.#proxy.cut()
        return
      }
      this.#proxy.passed += piece.length
      await this.#send(this.#far, piece)
    }
  }

  async #judge(message: Message): Promise<void> {
    const verdict = await this.#proxy.onMessage(message)
    if (verdict === 'cut') this.cut()
    else if (verdict === 'stall') this.stall()
    else if (verdict === 'lose answer') this.#answer = 'cut'
    else if (verdict === 'stall answer') this.#answer = 'stall'
  }

  async #down(bytes: Buffer): Promise<void> {
    if (this.#answer === 'cut') {
      this.#proxy.onLost()
      return this.cut()
    }
    if (this.#answer === 'stall') this.stall()
    await this.#send(this.#near, bytes)
  }

  async #send(to: Socket, bytes: Buffer): Promise<void> {
    const {
      latency = 0,
      jitter = 0,
      bytesPerSecond = Infinity,
      slice = Infinity,
    } = this.#proxy.shape
    const wait = latency + (Math.random() * 2 - 1) * jitter + (bytes.length / bytesPerSecond) * 1000
    if (wait >= 1) await sleep(wait)
    for (let at = 0; at < bytes.length; at += slice) {
      if (this.#stalled) return
      if (to.destroyed) return
      const taken = to.write(bytes.subarray(at, Math.min(at + slice, bytes.length)))
      if (!taken) await Promise.race([once(to, 'drain'), once(to, 'close')])
      if (slice < bytes.length) await setImmediate()
    }
  }
}
