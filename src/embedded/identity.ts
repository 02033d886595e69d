import { chmod, chown, lstat, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { embeddedError } from './failure.ts'
import { run } from './run.ts'

/** The user the server runs as; empty when it is our own. */
export interface Identity {
  readonly uid?: number
  readonly gid?: number
}

const isRoot = (): boolean => process.getuid?.() === 0

/** Chooses the user of a new server: ourselves, but never root, since PostgreSQL refuses root. */
export async function chooseIdentity(): Promise<Identity> {
  if (!isRoot()) return {}
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
    if (uid.code === 0 && gid.code === 0)
      return { uid: signed(uid.output), gid: signed(gid.output) }
  }
  throw embeddedError('PostgreSQL does not run as root, and this system has no user to run it as', {
    hint: 'run as an ordinary user',
  })
}

/** The user of a server whose data is already there: whoever owns the data. */
export async function ownerOf(dataDir: string): Promise<Identity> {
  const { uid, gid } = await lstat(dataDir)
  if (process.getuid === undefined || uid === process.getuid()) return {}
  if (isRoot()) return { uid: signed(uid), gid: signed(gid) }
  throw embeddedError(`${dataDir} belongs to another user (uid ${uid})`, {
    hint: 'run as that user, use another directory',
  })
}

/** Makes a directory that the server's user can pass through; not by mkdir's mode, which the umask cuts. */
export async function makePassable(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  await chmod(directory, ((await lstat(directory)).mode & 0o777) | 0o111)
}

/** Gives a file or directory to the server's user. */
export async function giveTo(as: Identity, path: string): Promise<void> {
  if (as.uid !== undefined && as.gid !== undefined) await chown(path, as.uid, as.gid)
}

/**
 * Tells whether the server's user can live in a directory, by trying it: mode bits alone would miss access lists,
 * squashed roots of network file systems, and mounts that know no owners.
 */
export async function canLiveIn(directory: string, as: Identity): Promise<boolean> {
  if (as.uid === undefined) return true
  const room = await mkdtemp(join(directory, '.probe-'))
  try {
    await giveTo(as, room)
    if ((await lstat(room)).uid !== as.uid >>> 0) return false
    return (await run('/bin/sh', ['-c', 'cd "$1" && : > probe', 'sh', room], { as })).code === 0
  } catch {
    return false
  } finally {
    await rm(room, { recursive: true, force: true })
  }
}

/** `stat` shows the uid -2, nobody on macOS, as an unsigned number; `spawn` wants it signed. */
const signed = (id: string | number): number => Number(id) | 0
