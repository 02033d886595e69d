import { randomUUID } from 'node:crypto'
import { access, constants, type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { OutputError, toError } from '../../core/errors.ts'

/**
 * Writes a file as a whole, or not at all: under another name beside it, which then takes its place. Others than its owner
 * may not read it.
 *
 * Errors: what the parts throw; REJECTS_NOT_WRITTEN. Nothing is left of the file then, and one that was there before stays.
 */
export async function writeWhole(path: string, parts: AsyncIterable<Uint8Array>): Promise<void> {
  const target = resolve(path)
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  const file = await orNotWritten(path, () => open(temporary, 'wx', 0o600))
  try {
    await writeAll(path, file, parts)
    await orNotWritten(path, () => rename(temporary, target))
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** Looks whether a file can be written there, before there is something to write. Errors: REJECTS_NOT_WRITTEN. */
export async function requireWritable(path: string): Promise<void> {
  const target = resolve(path)
  await orNotWritten(path, async () => {
    await access(dirname(target), constants.W_OK | constants.X_OK)
    const there = await stat(target).catch(() => null)
    if (there?.isDirectory() === true) throw new Error('it is a directory')
  })
}

async function writeAll(
  path: string,
  file: FileHandle,
  parts: AsyncIterable<Uint8Array>,
): Promise<void> {
  try {
    for await (const part of parts) await orNotWritten(path, () => file.writeFile(part))
    await orNotWritten(path, () => file.sync())
  } finally {
    await file.close()
  }
}

async function orNotWritten<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { message } = toError(error)
    throw new OutputError(`the rejects cannot be written to ${path}: ${message}`, {
      cause: error,
      hint: 'they are kept in the database: `millrace rejects export` writes them as soon as there is room and right',
    })
  }
}
