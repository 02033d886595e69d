import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConfigError, toError } from '../core/errors.ts'
import type { AnyStage, WireStage } from '../stage/stage.ts'
import * as stages from '../stage/stages.ts'
import { stageOf } from '../stage/wire.ts'

/** A stage, or the path of a module whose default export is one, or a list of them, or a promise of either. */
export type StageOption = AnyStage | string | URL

/** What a thread makes stages of. */
export type StageSpec =
  | { readonly type: 'wire'; readonly stage: WireStage }
  | { readonly type: 'module'; readonly path: string }

/** The stages of a run. */
export interface RunStages {
  readonly stages: readonly AnyStage[]
  /** What a later run of the same job must have too: name and hash of each stage or module. */
  readonly identity: readonly string[]
}

/**
 * Where a run has its stages from.
 *
 * Life: modules are loaded when they are first asked for.
 */
export class StageSource {
  readonly #options: readonly StageOption[]
  #found: Promise<RunStages> | null = null
  /** For the lanes' threads; null when a stage holds a function of the caller's, which cannot leave its thread. */
  readonly specs: readonly StageSpec[] | null

  constructor(options: readonly StageOption[]) {
    this.#options = options
    const specs = options.map(specOf).filter((spec) => spec !== null)
    this.specs = specs.length === options.length ? specs : null
  }

  /** Errors: CONFIG_BAD_STAGE for a module that cannot be loaded or exports no stage. */
  find(): Promise<RunStages> {
    return (this.#found ??= findStages(this.#options))
  }
}

function specOf(option: StageOption): StageSpec | null {
  if (isPath(option)) return { type: 'module', path: pathOf(option) }
  return option.wire === null ? null : { type: 'wire', stage: option.wire }
}

async function findStages(options: readonly StageOption[]): Promise<RunStages> {
  const stages: AnyStage[] = []
  const identity: string[] = []
  for (const option of options) {
    if (isPath(option)) {
      stages.push(...(await loadModule(pathOf(option))))
      identity.push(`module ${hashOf(await readFile(pathOf(option)))}`)
    } else {
      stages.push(option)
      identity.push(`${option.name} ${hashOf(JSON.stringify(option.identity))}`)
    }
  }
  return { stages, identity }
}

function isPath(option: StageOption): option is string | URL {
  return typeof option === 'string' || option instanceof URL
}

function pathOf(option: string | URL): string {
  return typeof option === 'string' ? resolve(option) : fileURLToPath(option)
}

/** Makes the stages in a thread. */
export async function makeStages(specs: readonly StageSpec[]): Promise<AnyStage[]> {
  const made = specs.map(async (spec) =>
    spec.type === 'wire' ? [stageOf(spec.stage)] : loadModule(spec.path),
  )
  return (await Promise.all(made)).flat()
}

function hashOf(what: string | Buffer): string {
  return createHash('sha256').update(what).digest('hex')
}

/**
 * Loads a module of stages, TypeScript as it is. `import ... from 'millrace'` in it finds the stages of this program,
 * wherever the module is.
 */
async function loadModule(path: string): Promise<readonly AnyStage[]> {
  // A large dependency, for runs that have such a stage only.
  const { createJiti } = await import('jiti')
  let exported: unknown
  try {
    // No cache on disk: one in a folder that others may write to is a way into this process.
    const jiti = createJiti(import.meta.url, {
      fsCache: false,
      virtualModules: { millrace: stages },
    })
    exported = await jiti.import(path, { default: true })
    exported = await exported
  } catch (error) {
    throw badModule(path, `cannot be loaded: ${firstLine(toError(error).message)}`, error)
  }
  const list = Array.isArray(exported) ? exported : [exported]
  if (!list.every(isStage)) {
    throw badModule(path, 'has no stage, and no list of stages, as its default export')
  }
  return list
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

function isStage(value: unknown): value is AnyStage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'bind' in value &&
    typeof value.bind === 'function'
  )
}

function badModule(path: string, what: string, cause?: unknown): ConfigError {
  return new ConfigError('CONFIG_BAD_STAGE', `the stage module ${path} ${what}`, {
    cause,
    hint: "as in: import { filter } from 'millrace'; export default filter((row) => row.fare !== null)",
  })
}
