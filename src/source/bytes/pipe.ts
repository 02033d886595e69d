import { constants, open } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'

/**
 * Opens a named pipe. Its end is that of its last writer; one that nobody has opened to write yet is waited for.
 *
 * Life: destroying the stream closes it.
 * Why:  a stream of node:fs would wait for a writer, and for each byte, in a thread that nothing can call back: a load that
 *       was told to stop went on to wait, and so did the end of its process.
 */
export async function openPipe(path: string): Promise<Readable> {
  const fd = await promisify(open)(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return new Socket({ fd, readable: true, writable: false })
}
