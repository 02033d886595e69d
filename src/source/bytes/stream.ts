import type { Readable } from 'node:stream'
import { SourceError, toError } from '../../core/errors.ts'
import type { ByteSource } from './byte-source.ts'

/**
 * A stream as a source: it is read once, forwards, and only its end tells its size.
 *
 * Errors: SOURCE_UNREADABLE for one that was read to its end before, which would pass for an empty one.
 */
export function streamSource(name: string, stream: Readable): ByteSource {
  if (stream.readableEnded) throw unreadable(name, new Error('it was read to its end before'))
  const incoming = stream[Symbol.asyncIterator]() as AsyncIterator<unknown>
  const pieces: Buffer[] = []
  let start = 0 // position of the first piece
  let end = 0 // position behind the last one
  let ended = false

  /** Takes pieces from the stream until they reach `position`, or the stream ends; those before `kept` are let go. */
  async function reach(position: number, kept: number): Promise<void> {
    while (end < position && !ended) {
      const piece = await next()
      if (piece === null) ended = true
      else {
        pieces.push(piece)
        end += piece.length
        dropBefore(kept)
      }
    }
  }

  async function next(): Promise<Buffer | null> {
    try {
      const { value, done } = await incoming.next()
      if (done === true) return null
      return bytesOf(value)
    } catch (error) {
      throw unreadable(name, toError(error))
    }
  }

  function dropBefore(position: number): void {
    while (pieces[0] !== undefined && start + pieces[0].length <= position) {
      start += pieces[0].length
      pieces.shift()
    }
  }

  function copyTo(into: Uint8Array, offset: number, length: number, position: number): number {
    let pieceStart = start
    let done = 0
    for (const piece of pieces) {
      const from = position + done - pieceStart
      if (from < piece.length) done += piece.copy(into, offset + done, from, from + length - done)
      if (done === length) break
      pieceStart += piece.length
    }
    return done
  }

  return {
    name,
    size: null,
    identity: null,
    async peek(into, offset, length, position) {
      await reach(position + length, start)
      return copyTo(into, offset, length, position)
    },
    async read(into, offset, length, position) {
      let done = 0
      // Piece by piece: the bytes are copied as they come, not gathered first.
      while (done < length) {
        dropBefore(position + done)
        await reach(position + done + 1, position + done)
        if (end < position) throw unreadable(name, endsEarly(end, position))
        const copied = copyTo(into, offset + done, length - done, position + done)
        if (copied === 0) break
        done += copied
      }
      dropBefore(position + done)
      return done
    },
    verify: () => Promise.resolve(),
    close() {
      stream.destroy()
      return Promise.resolve()
    },
  }
}

function bytesOf(piece: unknown): Buffer {
  if (typeof piece === 'string') return Buffer.from(piece)
  if (Buffer.isBuffer(piece)) return piece
  if (!(piece instanceof Uint8Array))
    throw new TypeError('it gives objects, expected bytes or text')
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
}

function unreadable(name: string, cause: Error): SourceError {
  const message = `cannot read ${name}: ${cause.message}`
  return new SourceError('SOURCE_UNREADABLE', message, { where: { source: name }, cause })
}

function endsEarly(end: number, expected: number): Error {
  return new Error(`it ends at byte ${String(end)}, expected it to reach byte ${String(expected)}`)
}
