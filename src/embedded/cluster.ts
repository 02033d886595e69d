import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { embeddedError, failedWith, programFailed } from './failure.ts'
import { canLiveIn, giveTo, makePassable } from './identity.ts'
import { database, stateFiles, superuser } from './place.ts'
import { run } from './run.ts'
import { clusterLocale, clusterSettings } from './settings.ts'
import type { Logger } from '../core/log.ts'
import type { Binaries } from './binaries.ts'
import type { Identity } from './identity.ts'

export interface NewCluster {
  readonly stateDir: string
  /** Where root's clusters live when the server's user cannot enter `stateDir`. */
  readonly rootDir: string
  readonly binaries: Binaries
  readonly as: Identity
  readonly log: Logger
}

/**
 * Makes the cluster of a state directory.
 *
 * Order:  everything is built under another name, then published by one atomic call: a rename, or the making of a
 *         link. Of two commands that do this at once the second finds the name taken, and throws its own away.
 * Errors: TARGET_EMBEDDED with what initdb said.
 */
export async function makeCluster(wanted: NewCluster): Promise<void> {
  const { stateDir, as, log } = wanted
  const { cluster } = stateFiles(stateDir)
  const inside = await canLiveIn(stateDir, as)
  const home = inside ? stateDir : await homeElsewhere(wanted)
  await sweep(home)
  const name = randomBytes(6).toString('hex')
  const draft = join(home, `cluster.new-${name}`)
  const built = inside ? cluster : join(home, `${idOf(stateDir)}-${name}`)
  log.info({ directory: built }, 'making an embedded PostgreSQL')
  try {
    await build(draft, wanted)
    await rename(draft, built)
    if (!inside) await symlink(built, cluster)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (!inside) await rm(built, { recursive: true, force: true })
    if (!failedWith(error, 'EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EPERM')) throw error
    // Whoever published first has won. Without a winner the refusal meant something else.
    await stat(cluster).catch(() => Promise.reject(error as Error))
  }
}

async function build(draft: string, { binaries, as }: NewCluster): Promise<void> {
  const data = join(draft, 'data')
  const passwordFile = join(draft, 'password')
  const password = randomBytes(24).toString('hex')
  await makePassable(draft)
  await mkdir(data, { mode: 0o700 })
  await giveTo(as, data)
  await writeFile(passwordFile, password + '\n', { mode: 0o600 })
  // initdb, which runs as the server's user, reads it once; afterwards it is ours alone.
  await giveTo(as, passwordFile)
  const settings = Object.entries(clusterSettings()).map(([key, value]) => `--set=${key}=${value}`)
  const access = ['--auth=scram-sha-256', `--username=${superuser}`, `--pwfile=${passwordFile}`]
  const args = ['-D', data, ...access, ...clusterLocale, ...settings, '--no-instructions']
  const made = await run(binaries.initdb, args, { as })
  if (made.code !== 0) throw programFailed(`initdb failed in ${draft}`, made.output)
  await takeBack(as, passwordFile)
  // In single-user mode, so that a published cluster is a whole one.
  const single = ['--single', '-D', data, '-c', 'log_min_messages=error', 'postgres']
  const created = await run(binaries.postgres, single, {
    as,
    input: `create database ${database}\n`,
  })
  if (created.code !== 0 || /ERROR|FATAL|PANIC/.test(created.output)) {
    throw programFailed(`cannot create the database ${database}`, created.output)
  }
}

const takeBack = (as: Identity, path: string): Promise<void> =>
  giveTo(as.uid === undefined ? as : { uid: 0, gid: 0 }, path)

/** Root's clusters share a directory that every user can pass through; the name tells whose a cluster is. */
async function homeElsewhere({ stateDir, rootDir, as, log }: NewCluster): Promise<string> {
  await makePassable(rootDir)
  if (!(await canLiveIn(rootDir, as))) {
    throw embeddedError(`uid ${as.uid}, its user, can enter neither ${stateDir} nor ${rootDir}`)
  }
  for (const name of await readdir(rootDir)) {
    if (!name.startsWith(`${idOf(stateDir)}-`)) continue
    log.warn({ directory: join(rootDir, name) }, 'an earlier database of this directory is kept')
  }
  return rootDir
}

const idOf = (stateDir: string): string =>
  createHash('sha256').update(resolve(stateDir)).digest('hex').slice(0, 16)

/** Removes what a killed command has left half built; an hour is far more than initdb takes. */
async function sweep(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!name.startsWith('cluster.new-')) continue
    const age = Date.now() - (await stat(join(home, name)).then((found) => found.mtimeMs, Date.now))
    if (age > 3_600_000) await rm(join(home, name), { recursive: true, force: true })
  }
}
