import { readFile } from 'node:fs/promises'
import type { JitiOptions, TransformOptions } from 'jiti'
import type { Options as StripOptions } from 'sucrase'
import { ConfigError, toError } from '../../core/errors.ts'
import * as stages from '../../stage/stages.ts'
import { isLone, runLone } from './lone-module.ts'

/**
 * A module as JavaScript.
 *
 * Shape: `code` of one that runs alone; else with those that it imports, by file name and which of jiti's two forms each
 *        is in.
 */
export interface CompiledModule {
  readonly path: string
  readonly code: string | ReadonlyMap<string, string>
}

/** What a module exports by default, its text with that of the modules it imports, and how a lane gets the same. */
interface Compiled {
  readonly exported: unknown
  readonly source: string
  readonly module: CompiledModule
}

/**
 * Loads a module that is written in TypeScript or JavaScript, and keeps what it was compiled to: the compiler takes a
 * tenth of a second to load, once a run is enough.
 *
 * Shape:  `import ... from 'millrace'` finds the stages of this program, wherever the module is.
 * Errors: CONFIG_BAD_STAGE.
 */
export async function compileModule(path: string): Promise<Compiled> {
  const { transform } = await import('sucrase')
  const strip: Strip = (source, file) => transform(source, { ...STRIP, filePath: file }).code
  return orBad(path, async () => {
    const lone = /\.m?[jt]s$/.test(path) ? await compileLone(path, strip) : null
    return lone ?? (await compileWithImports(path, strip))
  })
}

/** Runs a module that was compiled before, in whichever thread; returns its default export. Errors: CONFIG_BAD_STAGE. */
export function runModule({ path, code }: CompiledModule): Promise<unknown> {
  if (typeof code === 'string') return orBad(path, async () => await runLone(path, code))
  const transform = (options: TransformOptions): { code: string } => {
    const compiled = code.get(keyOf(options))
    if (compiled === undefined) throw new Error(`${options.filename ?? path} was not compiled`)
    return { code: compiled }
  }
  return orBad(path, () => importWith(path, transform))
}

/** TypeScript to CommonJS. */
type Strip = (source: string, file: string) => string

/** A module that needs nothing around it; null for any other. */
async function compileLone(path: string, strip: Strip): Promise<Compiled | null> {
  const source = await readFile(path, 'utf8')
  if (NEEDS_BABEL.test(source)) return null
  const code = strip(source, path)
  if (!isLone(code)) return null
  return { exported: await runLone(path, code), source, module: { path, code } }
}

async function compileWithImports(path: string, strip: Strip): Promise<Compiled> {
  const { createJiti } = await import('jiti')
  const code = new Map<string, string>()
  const sources = new Set<string>()
  const exported = await importWith(path, (options) => {
    sources.add(options.source)
    const compiled = NEEDS_BABEL.test(options.source)
      ? createJiti(import.meta.url, OPTIONS).transform(options)
      : strip(options.source, options.filename ?? path)
    code.set(keyOf(options), compiled)
    return { code: compiled }
  })
  // Sorted: modules may be compiled in another order the next time.
  return { exported, source: [...sources].sort().join('\n'), module: { path, code } }
}

async function importWith(
  path: string,
  transform: (options: TransformOptions) => { code: string },
): Promise<unknown> {
  const { createJiti } = await import('jiti')
  const jiti = createJiti(import.meta.url, { ...OPTIONS, transform })
  return await await jiti.import(path, { default: true })
}

async function orBad<T>(path: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    throw badModule(path, `cannot be loaded: ${firstLine(toError(error).message)}`, error)
  }
}

/** Line by line as it was, so that places in errors are those of the source. */
const STRIP: StripOptions = { transforms: ['typescript', 'imports'], preserveDynamicImport: true }

/**
 * What sucrase leaves in a module that jiti's own compiler, Babel, does not. Babel takes 0.19 s of CPU to load and compile
 * with, sucrase 0.09, and nearly every module of stages does without.
 */
const NEEDS_BABEL =
  /\bimport\s*(?:\.\s*meta\b|\()|^\s*(?:(?:export\s+default|(?:const|let|var)\s.*=)\s*)?await\b|\busing\s/m

/**
 * No cache on disk: one in a folder that others may write to is a way into this process. None of modules either: the next
 * load of a process is to see what a module has become.
 */
const OPTIONS: JitiOptions = {
  fsCache: false,
  moduleCache: false,
  virtualModules: { millrace: stages },
}

function keyOf({ filename, async }: TransformOptions): string {
  return `${String(async)} ${filename ?? ''}`
}

/** The error for a module that is no module of stages. */
export function badModule(path: string, what: string, cause?: unknown): ConfigError {
  return new ConfigError('CONFIG_BAD_STAGE', `the stage module ${path} ${what}`, {
    cause,
    hint: "as in: import { filter } from 'millrace'; export default filter((row) => row.fare !== null)",
  })
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
