import { chmod, cp, mkdir, readFile, readdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { embeddedError, failedWith } from './failure.ts'

/**
 * Makes the links and modes that the platform package's install script would have made: `npm ci --ignore-scripts`
 * leaves them out. Safe for two processes at once, since each link is one atomic call and `EEXIST` is success.
 *
 * Shape: false when the directory cannot be written to.
 */
export async function completeNative(native: string): Promise<boolean> {
  try {
    for (const { source, target } of await missingLinks(native)) {
      await symlink(relative(dirname(target), source), target).catch((error: unknown) => {
        if (!failedWith(error, 'EEXIST')) throw error
      })
    }
    for (const name of await readdir(join(native, 'bin'))) {
      const program = join(native, 'bin', name)
      const { mode } = await stat(program)
      if ((mode & 0o111) !== 0o111) await chmod(program, (mode & 0o777) | 0o555)
    }
    return true
  } catch (error) {
    if (failedWith(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT')) return false
    throw error
  }
}

/** The links of `pg-symlinks.json`, whose paths start at the package; one that leads out of it is not ours to make. */
async function missingLinks(native: string): Promise<{ source: string; target: string }[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const inside = (path: string): string => resolve(native, relative('native', path))
  return (JSON.parse(text) as { source: string; target: string }[])
    .map(({ source, target }) => ({ source: inside(source), target: inside(target) }))
    .filter(({ source, target }) => [source, target].every((path) => path.startsWith(native + sep)))
}

/** Copies the programs and their libraries to `destination`, whole or not at all. */
export async function stageNative(native: string, destination: string): Promise<string> {
  if (await exists(destination)) return destination
  const draft = `${destination}.new-${randomBytes(6).toString('hex')}`
  try {
    await mkdir(draft, { recursive: true, mode: 0o755 })
    await cp(native, draft, { recursive: true, verbatimSymlinks: true, filter: isNeeded })
    await openToAll(draft)
    await completeNative(draft)
    await rename(draft, destination)
  } catch (cause) {
    await rm(draft, { recursive: true, force: true })
    if (await exists(destination)) return destination
    throw embeddedError(`cannot copy the programs to ${dirname(destination)}`, { cause })
  }
  return destination
}

/** An install under a strict umask leaves modes that would lock the server's user out of the copy too. */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    const path = join(entry.parentPath, entry.name)
    const { mode } = await stat(path)
    await chmod(path, (mode & 0o777) | (entry.isDirectory() ? 0o755 : 0o444))
  }
}

const isNeeded = (path: string): boolean =>
  !/\.a$/.test(path) && !['include', 'pkgconfig'].includes(basename(path))

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
