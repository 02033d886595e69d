import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { ConfigError, SourceError, toError } from '../core/errors.ts'
import type { ByteSource } from './bytes/byte-source.ts'
import { openFile } from './bytes/file.ts'
import { openPipe } from './bytes/pipe.ts'
import { streamSource } from './bytes/stream.ts'

/**
 * Opens an input: a path, or a stream such as stdin. A path that is no regular file (a pipe, a device) is read as a stream.
 *
 * Errors: SOURCE_NOT_FOUND, SOURCE_UNREADABLE; CONFIG_USAGE for a URL.
 */
export async function openInput(input: string | Readable): Promise<ByteSource> {
  if (typeof input !== 'string') return streamSource('stdin', input)
  // Not shown: it may well be the address of the server, with its password.
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(input)) throw notPath()
  const path = resolve(input)
  const stats = await stat(path).catch((error: unknown) => {
    throw notFound(path, toError(error))
  })
  if (stats.isDirectory()) {
    throw new SourceError('SOURCE_UNREADABLE', `${path} is a directory, expected a file`, {
      where: { source: path },
    })
  }
  if (stats.isFile()) return openFile(path)
  if (!stats.isFIFO()) return streamSource(path, createReadStream(path))
  const pipe = await openPipe(path).catch((error: unknown) => {
    throw notFound(path, toError(error))
  })
  return streamSource(path, pipe)
}

function notPath(): ConfigError {
  return new ConfigError('CONFIG_USAGE', 'the input is a URL, expected the path of a file, or -', {
    hint: 'the address of the server goes with --to',
  })
}

function notFound(path: string, error: NodeJS.ErrnoException): SourceError {
  const missing = error.code === 'ENOENT' || error.code === 'ENOTDIR'
  return new SourceError(
    missing ? 'SOURCE_NOT_FOUND' : 'SOURCE_UNREADABLE',
    missing ? `there is no file ${path}` : `cannot open ${path}: ${error.message}`,
    { where: { source: path }, cause: error },
  )
}
