import type { Readable } from 'node:stream'
import { SourceError, toError } from '../../core/errors.ts'
import type { ByteSource } from './byte-source.ts'

/** A stream as a source: it is read once, forwards, and only its end tells its size. */
export function streamSource(name: string, stream: Readable): ByteSource {
  const pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer | string>
  let piece: Buffer = Buffer.alloc(0)
  let pieceStart = 0
  let ended = false

  async function next(): Promise<boolean> {
    pieceStart += piece.length
    piece = Buffer.alloc(0)
    if (ended) return false
    try {
      const { value, done } = await pieces.next()
      if (done === true) ended = true
      else piece = typeof value === 'string' ? Buffer.from(value) : value
    } catch (error) {
      const cause = toError(error)
      const message = `cannot read ${name}: ${cause.message}`
      throw new SourceError('SOURCE_UNREADABLE', message, { where: { source: name }, cause })
    }
    return !ended
  }

  return {
    name,
    size: null,
    identity: null,
    async read(into, offset, length, position) {
      let done = 0
      while (done < length) {
        const skip = position + done - pieceStart
        if (skip >= piece.length) {
          if (!(await next())) break
          continue
        }
        const taken = Math.min(length - done, piece.length - skip)
        piece.copy(into, offset + done, skip, skip + taken)
        done += taken
      }
      return done
    },
    verify: () => Promise.resolve(),
    close() {
      stream.destroy()
      return Promise.resolve()
    },
  }
}

/** A source that gives `head`, read ahead of its time, before the bytes behind it. */
export function withHead(source: ByteSource, head: Buffer): ByteSource {
  return {
    ...source,
    async read(into, offset, length, position) {
      if (position >= head.length) return source.read(into, offset, length, position)
      const taken = head.copy(into, offset, position, Math.min(head.length, position + length))
      if (taken === length) return taken
      return taken + (await source.read(into, offset + taken, length - taken, position + taken))
    },
  }
}
