import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { SourceError, toError } from '../../core/errors.ts'
import { type ByteSource, EDGE_BYTES, type InputIdentity } from './byte-source.ts'

/**
 * Opens a regular file.
 *
 * Errors: SOURCE_UNREADABLE.
 */
export async function openFile(path: string): Promise<ByteSource> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error)
  })
  try {
    const stats = await handle.stat({ bigint: true })
    return fileSource(path, handle, stats, await identify(handle, stats))
  } catch (error) {
    await handle.close()
    throw unreadable(path, error)
  }
}

function fileSource(
  path: string,
  handle: FileHandle,
  opened: BigIntStats,
  identity: InputIdentity,
): ByteSource {
  const read: ByteSource['read'] = async (into, offset, length, position) => {
    const wanted = Math.min(length, identity.size - position)
    let done = 0
    while (done < wanted) {
      const { bytesRead } = await handle
        .read(into, offset + done, wanted - done, position + done)
        .catch((error: unknown) => {
          throw unreadable(path, error)
        })
      if (bytesRead === 0) throw changed(path, 'became shorter')
      done += bytesRead
    }
    return done
  }
  return {
    name: path,
    size: identity.size,
    identity,
    read,
    peek: read,
    async verify() {
      const now = await handle.stat({ bigint: true })
      if (now.size !== opened.size) {
        throw changed(path, now.size < opened.size ? 'became shorter' : 'became longer')
      }
      if (now.mtimeNs !== opened.mtimeNs) throw changed(path, 'was written to')
    },
    close: () => handle.close(),
  }
}

async function identify(handle: FileHandle, stats: BigIntStats): Promise<InputIdentity> {
  const size = Number(stats.size)
  return {
    size,
    mtime: String(stats.mtimeNs),
    ctime: String(stats.ctimeNs),
    inode: String(stats.ino),
    head: await hashAt(handle, 0, Math.min(size, EDGE_BYTES)),
    tail: await hashAt(handle, Math.max(0, size - EDGE_BYTES), size),
  }
}

async function hashAt(handle: FileHandle, from: number, to: number): Promise<string> {
  const bytes = Buffer.alloc(to - from)
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, from)
  return sha256(bytes.subarray(0, bytesRead))
}

/** SHA-256 in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function changed(path: string, how: string): SourceError {
  const message = `${path} ${how} while it was read`
  return new SourceError('SOURCE_CHANGED_WHILE_READING', message, {
    where: { source: path },
    hint: 'load a file that nobody writes to any more; what is committed so far is kept',
  })
}

function unreadable(path: string, thrown: unknown): Error {
  if (thrown instanceof SourceError) return thrown
  const error = toError(thrown)
  return new SourceError('SOURCE_UNREADABLE', `cannot read ${path}: ${error.message}`, {
    where: { source: path },
    cause: error,
  })
}
