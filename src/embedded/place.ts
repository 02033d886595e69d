import { lstat, mkdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { embeddedError, failedWith } from './failure.ts'
import { ownerOf } from './identity.ts'
import type { Identity } from './identity.ts'

/** The database that loads go to, and the superuser it belongs to. */
export const database = 'millrace'
export const superuser = 'postgres'

/** The files of a state directory that are there whether the cluster is or not. */
export interface StateFiles {
  /** The cluster: a directory, or for root a link to one where the server's user can live. */
  readonly cluster: string
  readonly logFile: string
  /** Present after `db start`: the last user leaves the server running. */
  readonly keepFile: string
}

export function stateFiles(stateDir: string): StateFiles {
  return {
    cluster: join(stateDir, 'cluster'),
    logFile: join(stateDir, 'server.log'),
    keepFile: join(stateDir, 'keep'),
  }
}

/** A cluster that exists, and who runs it. */
export interface Place extends StateFiles {
  readonly dataDir: string
  readonly password: string
  readonly as: Identity
}

/** Finds the cluster of a state directory, undefined when there is none yet. */
export async function findPlace(stateDir: string): Promise<Place | undefined> {
  const files = stateFiles(stateDir)
  const entry = await lstat(files.cluster).catch((error: unknown) => {
    if (failedWith(error, 'ENOENT')) return undefined
    throw unreadable(stateDir, error)
  })
  if (entry === undefined) return undefined
  try {
    const cluster = await realpath(files.cluster)
    const dataDir = join(cluster, 'data')
    const as = await ownerOf(dataDir)
    return { ...files, cluster, dataDir, as, password: await readPassword(cluster) }
  } catch (error) {
    throw failedWith(error, 'ENOENT', 'EACCES', 'EPERM') ? unreadable(stateDir, error) : error
  }
}

const readPassword = async (cluster: string): Promise<string> =>
  (await readFile(join(cluster, 'password'), 'utf8')).trim()

function unreadable(stateDir: string, cause: unknown): Error {
  const gone = failedWith(cause, 'ENOENT')
  return embeddedError(`the data of ${stateDir} ${gone ? 'is gone' : 'cannot be read'}`, {
    hint: gone
      ? `remove ${stateDir} to start with an empty database`
      : 'run as the user it belongs to',
    cause,
  })
}

/** Makes the state directory, and keeps it out of version control. */
export async function makeStateDir(stateDir: string, as: Identity): Promise<void> {
  try {
    // The server's user, when it is another, has to pass through; nobody else has business here.
    await mkdir(dirname(stateDir), { recursive: true })
    await mkdir(stateDir, { recursive: true, mode: as.uid === undefined ? 0o700 : 0o711 })
    await writeFile(join(stateDir, '.gitignore'), '*\n')
  } catch (cause) {
    throw embeddedError(`cannot write to ${stateDir}`, { cause })
  }
}

/** Refuses data that another major version has written, before the server does it less clearly. */
export async function checkVersion(place: Place, major: string): Promise<void> {
  const made = (await readFile(join(place.dataDir, 'PG_VERSION'), 'utf8')).trim()
  if (made === major) return
  throw embeddedError(`${place.dataDir} was made by PostgreSQL ${made}, this is ${major}`, {
    hint: 'dump it with the version that made it and load it into a new state directory',
  })
}
