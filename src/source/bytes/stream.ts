import type { Readable } from 'node:stream'
import { SourceError, toError } from '../../core/errors.ts'
import type { ByteSource } from './byte-source.ts'

/** A stream as a source: it is read once, forwards, and only its end tells its size. */
export function streamSource(name: string, stream: Readable): ByteSource {
  const incoming = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer | string>
  const pieces: Buffer[] = []
  let start = 0 // position of the first piece
  let end = 0 // position behind the last one
  let ended = false

  /** Takes pieces from the stream until they reach `position`, or the stream ends. */
  async function reach(position: number): Promise<void> {
    while (end < position && !ended) {
      const piece = await next()
      if (piece === null) ended = true
      else {
        pieces.push(piece)
        end += piece.length
      }
    }
  }

  async function next(): Promise<Buffer | null> {
    try {
      const { value, done } = await incoming.next()
      if (done === true) return null
      return typeof value === 'string' ? Buffer.from(value) : value
    } catch (error) {
      const cause = toError(error)
      const message = `cannot read ${name}: ${cause.message}`
      throw new SourceError('SOURCE_UNREADABLE', message, { where: { source: name }, cause })
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
      await reach(position + length)
      return copyTo(into, offset, length, position)
    },
    async read(into, offset, length, position) {
      let done = 0
      // Piece by piece: the bytes are copied as they come, not gathered first.
      while (done < length) {
        dropBefore(position + done)
        await reach(position + done + 1)
        dropBefore(position + done)
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
