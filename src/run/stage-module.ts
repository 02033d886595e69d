import type { JitiOptions, TransformOptions } from 'jiti'
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
 * Shape:  `exported` is its default export. `import ... from 'millrace'` finds the stages of this program, wherever the
 *         module is.
 * Errors: CONFIG_BAD_STAGE.
 */
export async function compileModule(
  path: string,
): Promise<{ readonly exported: unknown; readonly module: CompiledModule }> {
  const { createJiti } = await import('jiti')
  const compiler = createJiti(import.meta.url, OPTIONS)
  const code = new Map<string, string>()
  const transform = (options: TransformOptions): { code: string } => {
    const compiled = compiler.transform(options)
    code.set(keyOf(options), compiled)
    return { code: compiled }
  }
  const exported = await importWith(path, { ...OPTIONS, transform })
  return { exported, module: { path, code } }
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

/** No cache on disk: one in a folder that others may write to is a way into this process. */
const OPTIONS: JitiOptions = { fsCache: false, virtualModules: { millrace: stages } }

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
