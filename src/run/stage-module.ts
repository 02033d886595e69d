import type { JitiOptions, TransformOptions } from 'jiti'
import type { Options as StripOptions } from 'sucrase'
import { ConfigError, toError } from '../core/errors.ts'
import * as stages from '../stage/stages.ts'

/** A module as JavaScript, with those that it imports: by file name, which of jiti's two forms it is in, and its code. */
export interface CompiledModule {
  readonly path: string
  readonly code: ReadonlyMap<string, string>
}

/**
 * Loads a module that is written in TypeScript or JavaScript, and keeps what it was compiled to: the compiler takes a
 * quarter of a second to load, once a run is enough.
 *
 * Shape:  `exported` is its default export; `source` its text, and that of the modules that were compiled with it.
 *         `import ... from 'millrace'` finds the stages of this program, wherever the module is.
 * Errors: CONFIG_BAD_STAGE.
 */
export async function compileModule(path: string): Promise<{
  readonly exported: unknown
  readonly source: string
  readonly module: CompiledModule
}> {
  const [{ createJiti }, { transform: strip }] = await Promise.all([
    import('jiti'),
    import('sucrase'),
  ])
  const code = new Map<string, string>()
  const sources = new Set<string>()
  const transform = (options: TransformOptions): { code: string } => {
    sources.add(options.source)
    const compiled = NEEDS_BABEL.test(options.source)
      ? createJiti(import.meta.url, OPTIONS).transform(options)
      : strip(options.source, { ...STRIP, filePath: options.filename ?? path }).code
    code.set(keyOf(options), compiled)
    return { code: compiled }
  }
  const exported = await importWith(path, { ...OPTIONS, transform })
  // Sorted: modules may be compiled in another order the next time.
  return { exported, source: [...sources].sort().join('\n'), module: { path, code } }
}

/** Runs a module that was compiled before, in whichever thread; returns its default export. Errors: CONFIG_BAD_STAGE. */
export function runModule({ path, code }: CompiledModule): Promise<unknown> {
  const transform = (options: TransformOptions): { code: string } => {
    const compiled = code.get(keyOf(options))
    if (compiled === undefined) throw new Error(`${options.filename ?? path} was not compiled`)
    return { code: compiled }
  }
  return importWith(path, { ...OPTIONS, transform })
}

async function importWith(path: string, options: JitiOptions): Promise<unknown> {
  const { createJiti } = await import('jiti')
  try {
    return await await createJiti(import.meta.url, options).import(path, { default: true })
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
