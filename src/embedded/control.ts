import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, rename, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { embeddedError, programFailed } from './failure.ts'
import { findPostmaster } from './postmaster.ts'
import { environment, run } from './run.ts'
import type { FileHandle } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import type { Logger } from '../core/log.ts'
import type { Binaries } from './binaries.ts'
import type { Place } from './place.ts'

/** Replaying the log after a crash may take minutes; a server that has not moved in ten will not. */
const recoveryMs = 600_000
const stopMs = 120_000
const largestLog = 10 * 1024 * 1024

/**
 * Starts the server and waits until it takes connections.
 *
 * Shape:  undefined when it is up; else what it said when it ended, which is also what happens to the second of two
 *         that start at once: PostgreSQL's own `postmaster.pid` lets only one of them live.
 * Order:  the server is nobody's child: it has its own session, its own log file, and outlives us.
 */
export async function startServer(
  place: Place,
  binaries: Binaries,
  log: Logger,
): Promise<string | undefined> {
  const port = await freePort()
  const logFile = await openLog(place.logFile)
  const from = (await logFile.stat()).size
  const local = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=']
  try {
    const child = spawn(binaries.postgres, ['-D', place.dataDir, '-p', String(port), ...local], {
      ...place.as,
      cwd: '/',
      env: environment,
      detached: true,
      windowsHide: true,
      stdio: ['ignore', logFile.fd, logFile.fd],
    })
    child.unref()
    let ended: string | undefined
    child.once('error', (error) => (ended = error.message))
    child.once('exit', (code, signal) => (ended = `ended with ${signal ?? `code ${code}`}`))
    log.debug({ port, pid: child.pid }, 'starting the embedded PostgreSQL')
    const began = Date.now()
    let told = false
    for (;;) {
      if (ended !== undefined) return (await readFrom(logFile, from)) || ended
      const found = await findPostmaster(place.dataDir)
      if (found?.pid === child.pid && found?.state === 'ready') return undefined
      const waited = Date.now() - began
      if (waited > recoveryMs) throw programFailed('did not start in time', '', place.logFile)
      if (waited > 2000 && !told) {
        told = true
        log.info({ log: place.logFile }, 'the embedded PostgreSQL is recovering from a crash')
      }
      await sleep(waited < 2000 ? 10 : 200)
    }
  } finally {
    await logFile.close()
  }
}

/** Stops the server: its sessions are ended, what they had not committed is rolled back, and all is written out. */
export async function stopServer(place: Place, binaries: Binaries): Promise<void> {
  // Without pg_ctl's own wait, which looks ten times a second only: half the time of a stop.
  const args = ['stop', '-D', place.dataDir, '-m', 'fast', '-W', '-s']
  const asked = await run(binaries.pgCtl, args, { as: place.as })
  const until = Date.now() + stopMs
  while ((await findPostmaster(place.dataDir)) !== undefined) {
    if (asked.code !== 0 || Date.now() > until) {
      throw programFailed('the server does not stop', asked.output, place.logFile)
    }
    await sleep(10)
  }
}

/** A port nobody listens on. It may be taken before the server has it; then the start fails and is tried again. */
async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The log is opened by us: the server inherits it, wherever it lies. One old log is kept. */
async function openLog(file: string): Promise<FileHandle> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  )
  try {
    if (size > largestLog) await rename(file, `${file}.old`)
    const log = await open(file, 'a+', 0o600)
    // Root may be a guest in another user's state directory, whose owner must be able to write here tomorrow.
    if (process.getuid?.() === 0) {
      const { uid, gid } = await stat(dirname(file))
      await log.chown(uid, gid)
    }
    return log
  } catch (cause) {
    throw embeddedError(`cannot write to ${file}`, { cause })
  }
}

async function readFrom(file: FileHandle, position: number): Promise<string> {
  const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(8192), position })
  return buffer.toString('utf8', 0, bytesRead)
}
