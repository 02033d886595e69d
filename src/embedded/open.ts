import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../core/log.ts'
import { startServer } from './control.ts'
import { asEmbeddedError, codeOf, embeddedError, programFailed } from './failure.ts'
import { join } from './keeper.ts'
import { findPostmaster } from './postmaster.ts'
import { addressOf, prepare } from './prepare.ts'
import { EmbeddedServer } from './server.ts'
import type { Logger } from '../core/log.ts'
import type { Connect } from './keeper.ts'
import type { EmbeddedPlace, Ready } from './prepare.ts'

export interface OpenOptions extends EmbeddedPlace {
  readonly connect: Connect
  /** Default silent. */
  readonly log?: Logger
}

/** How long a server that is up and does not take us is tried. */
const patienceMs = 30_000
/** How long a server is waited for that is starting, which after a crash means to replay its log, or is stopping. */
const recoveryMs = 600_000
const startsTried = 5

/**
 * Opens the embedded PostgreSQL of a state directory: makes it, starts it, or joins the one that runs.
 *
 * Order:  find, else start, then join; whatever goes wrong in between (a server that was stopping, a port taken, another
 *         command that started it first) leads back to find.
 * Errors: TARGET_EMBEDDED, naming the server's log.
 */
export async function openEmbedded(options: OpenOptions): Promise<EmbeddedServer> {
  try {
    return await findOrStart(options)
  } catch (error) {
    throw asEmbeddedError(error)
  }
}

async function findOrStart(options: OpenOptions): Promise<EmbeddedServer> {
  const log = options.log ?? silentLog
  const ready = await prepare(options, log)
  const { dataDir, logFile } = ready.place
  const began = Date.now()
  let movedAt = began
  let failedStarts = 0
  let told = false
  let cause: unknown
  for (;;) {
    const found = await findPostmaster(dataDir)
    if (found === undefined) {
      const ended = await startServer(ready.place, ready.binaries, log)
      if (ended === undefined) continue
      // Another command may have started it first; then it is there to join.
      if ((await findPostmaster(dataDir)) !== undefined) continue
      failedStarts += 1
      if (failedStarts === startsTried) {
        throw programFailed('the server does not start', ended, logFile)
      }
      // The sessions of a killed server take a moment to notice, and hold its memory until then.
      await sleep(100 * 3 ** (failedStarts - 1))
      continue
    }
    if (found.state === 'ready') {
      try {
        const keeper = await join(options.connect, addressOf(ready.place, found.port, 'postgres'))
        log.debug({ port: found.port, pid: found.pid }, 'joined the embedded PostgreSQL')
        return new EmbeddedServer(ready, found, keeper, options.connect, log)
      } catch (error) {
        cause = error
        refuseForGood(error, ready)
      }
    }
    const now = Date.now()
    if (found.state !== 'ready' && now - began < recoveryMs) movedAt = now
    if (!told && now - began > 2000) {
      told = true
      log.info({ state: found.state, log: logFile }, 'waiting for the embedded PostgreSQL')
    }
    if (now - movedAt > patienceMs) {
      const seconds = Math.round((now - began) / 1000)
      throw embeddedError(`no connection to the server (pid ${found.pid}) in ${seconds} s`, {
        hint: `read ${logFile}`,
        cause,
        retryable: true,
      })
    }
    await sleep(20)
  }
}

/** A wrong password or a missing database stays so; all else may pass. */
function refuseForGood(error: unknown, { place }: Ready): void {
  const code = codeOf(error) ?? ''
  if (!code.startsWith('28') && !code.startsWith('3D')) return
  throw embeddedError(`the server of ${place.dataDir} refuses us (SQLSTATE ${code})`, {
    hint: `restore the password file beside it, or remove the state directory to start afresh`,
    cause: error,
  })
}
