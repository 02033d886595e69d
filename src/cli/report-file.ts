import { randomBytes } from 'node:crypto'
import { lstat, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ConfigError } from '../index.ts'

/** Writes the report, in the place of an earlier one. */
export type WriteReport = (json: string) => Promise<void>

/**
 * Looks whether a report can be written, before there is anything to tell; null where none is wanted.
 *
 * Shape:  the file is its owner's alone, and comes into its place whole: under a name of its own first, which must not be
 *         there yet. So nobody who can write to the folder has it go elsewhere, as through a link.
 * Errors: CONFIG_BAD_VALUE for a folder that is not there, and for what is no plain file.
 */
export async function reportFile(path: string | undefined): Promise<WriteReport | null> {
  if (path === undefined) return null
  const folder = await stat(dirname(path)).catch(() => null)
  if (folder?.isDirectory() !== true) throw badPath(path, `there is no folder ${dirname(path)}`)
  const before = await lstat(path).catch(() => null)
  if (before?.isFile() === false) throw badPath(path, 'it is a link, a folder or a device')
  return (json) => writeReport(path, json)
}

async function writeReport(path: string, json: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(draft, `${json}\n`, { flag: 'wx', mode: 0o600 })
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw badPath(path, error instanceof Error ? error.message : String(error))
  }
}

function badPath(path: string, reason: string): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `the report cannot be written to ${path}: ${reason}`, {
    hint: '--report takes the path of a plain file, or of none yet; --json prints the same',
  })
}
