import { link, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { run } from './run.ts'

/** A running server, as its `postmaster.pid` describes it. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  readonly state: 'starting' | 'ready' | 'stopping'
}

/** An empty file this old was left by a crash; a server writes it within a moment. */
const emptyMs = 10_000

/**
 * Finds the server of a data directory.
 *
 * Shape:  undefined when none runs, also when a crash has left a `postmaster.pid` behind.
 * Source: lines of the file: https://github.com/postgres/postgres/blob/master/src/include/utils/pidfile.h
 */
export async function findPostmaster(dataDir: string): Promise<Postmaster | undefined> {
  const file = join(dataDir, 'postmaster.pid')
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\n')
  const pid = Number.parseInt(lines[0] ?? '', 10)
  if (!(pid > 0)) {
    // A server has made the file and not yet written it, or the machine went down at that moment.
    const age = Date.now() - (await stat(file).then((found) => found.mtimeMs, Date.now))
    if (age < emptyMs) return { pid: 0, port: 0, state: 'starting' }
    await removeStale(file, text)
    return undefined
  }
  const is = await whatRuns(pid)
  if (is === 'nothing') return undefined
  if (is === 'another program') {
    await removeStale(file, text)
    return undefined
  }
  const status = lines[7]?.trim()
  const state = status === 'ready' || status === 'stopping' ? status : 'starting'
  return { pid, port: Number.parseInt(lines[3] ?? '', 10), state }
}

/** PostgreSQL itself replaces a stale file, unless its process number is in use again: after a restart of the machine
 * or of a container that is likely, and it would refuse to start for ever. */
async function whatRuns(pid: number): Promise<'postgres' | 'another program' | 'nothing'> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'nothing'
  }
  const program = await programOf(pid)
  if (program === undefined) return 'postgres'
  return /^postgres(\.exe)?:?$/.test(program) ? 'postgres' : 'another program'
}

/** The name of a running program; empty for one that has ended but was not waited for; undefined when it cannot be told. */
async function programOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined)
    return command === undefined ? undefined : basename(command.split('\0')[0] ?? '')
  }
  if (process.platform === 'win32') return undefined
  const { code, output } = await run('ps', ['-o', 'comm=', '-p', String(pid)])
  return code === 0 ? basename(output.trim()) : undefined
}

/** Removes the file we judged, and not one that a server starting right now has put in its place. */
async function removeStale(file: string, judged: string): Promise<void> {
  const aside = `${file}.stale-${process.pid}`
  try {
    await rename(file, aside)
    if ((await readFile(aside, 'utf8')) !== judged) await link(aside, file)
  } catch {
    // Gone, or someone else's turn: the caller looks again.
  } finally {
    await rm(aside, { force: true })
  }
}
