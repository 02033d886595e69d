import { rm, writeFile, access } from 'node:fs/promises'
import { silentLog } from '../core/log.ts'
import { stopServer } from './control.ts'
import { asEmbeddedError } from './failure.ts'
import { openEmbedded } from './open.ts'
import { findPlace, stateFiles } from './place.ts'
import { findPostmaster } from './postmaster.ts'
import { addressOf, prepare } from './prepare.ts'
import type { OpenOptions } from './open.ts'
import type { EmbeddedPlace } from './prepare.ts'

/** What can be said of an embedded server without touching it. */
export type EmbeddedStatus =
  | { readonly state: 'absent' }
  | {
      readonly state: 'stopped'
      readonly dataDir: string
      readonly logFile: string
      readonly kept: boolean
    }
  | {
      readonly state: 'running' | 'starting' | 'stopping'
      readonly dataDir: string
      readonly logFile: string
      readonly kept: boolean
      readonly pid: number
      readonly port: number
      readonly url: string
    }

/** Tells whether a state directory has a server, whether it runs, and where. */
export async function embeddedStatus(stateDir: string): Promise<EmbeddedStatus> {
  const place = await findPlace(stateDir)
  if (place === undefined) return { state: 'absent' }
  const { dataDir, logFile } = place
  const kept = await access(place.keepFile).then(
    () => true,
    () => false,
  )
  const found = await findPostmaster(dataDir)
  if (found === undefined) return { state: 'stopped', dataDir, logFile, kept }
  const { pid, port } = found
  const state = found.state === 'ready' ? 'running' : found.state
  return { state, dataDir, logFile, kept, pid, port, url: addressOf(place, port) }
}

/** The address of the server when it runs. */
export async function embeddedUrl(stateDir: string): Promise<string | undefined> {
  const status = await embeddedStatus(stateDir)
  return status.state === 'running' ? status.url : undefined
}

/** Starts the server, to run until `stopEmbedded`. */
export async function startEmbedded(options: OpenOptions): Promise<{ url: string; port: number }> {
  const server = await openEmbedded(options)
  try {
    await writeFile(stateFiles(options.stateDir).keepFile, '')
    return { url: server.url, port: server.port }
  } finally {
    await server.release()
  }
}

/** Stops the server now, whoever uses it, and takes back `startEmbedded`. Shape: false when it did not run. */
export async function stopEmbedded(where: EmbeddedPlace): Promise<boolean> {
  const place = await findPlace(where.stateDir)
  if (place === undefined) return false
  await rm(place.keepFile, { force: true })
  if ((await findPostmaster(place.dataDir)) === undefined) return false
  try {
    const { binaries } = await prepare(where, silentLog)
    await stopServer(place, binaries)
    return true
  } catch (error) {
    throw asEmbeddedError(error)
  }
}
