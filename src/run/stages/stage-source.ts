import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SourceError } from '../../core/errors.ts'
import type { AnyStage, WireStage } from '../../stage/stage.ts'
import { stageOf } from '../../stage/wire.ts'
import { badModule, compileModule, type CompiledModule, runModule } from './stage-module.ts'

/** A stage, or the path of a module whose default export is one, or a list of them, or a promise of either. */
export type StageOption = AnyStage | string | URL

/** What a thread makes stages of; with the fingerprints of those that have one. */
export type StageSpec = { readonly fingerprints: readonly string[] } & (
  | { readonly type: 'wire'; readonly stage: WireStage }
  | { readonly type: 'module'; readonly module: CompiledModule }
)

/** The stages of a run. */
export interface RunStages {
  readonly stages: readonly AnyStage[]
  /** For the lanes' threads; empty when a stage holds a function of the caller's, which cannot leave its thread. */
  readonly specs: readonly StageSpec[]
  /** What a later run of the same job must have too: name, hash and fingerprints of each stage or module. */
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
  /** Whether the lanes' threads can make the same stages. */
  readonly isPortable: boolean
  readonly isEmpty: boolean

  constructor(options: readonly StageOption[]) {
    this.isEmpty = options.length === 0
    this.#options = options
    this.isPortable = options.every((option) => isPath(option) || option.wire !== null)
  }

  /** Errors: CONFIG_BAD_STAGE for a module that cannot be loaded or exports no stage. */
  find(): Promise<RunStages> {
    this.#found ??= findStages(this.#options)
    this.#found.catch(() => undefined) // who asks for it hears of it
    return this.#found
  }
}

async function findStages(options: readonly StageOption[]): Promise<RunStages> {
  const stages: AnyStage[] = []
  const specs: StageSpec[] = []
  const identity: string[] = []
  for (const option of options) {
    if (isPath(option)) {
      const path = pathOf(option)
      const { exported, source, module } = await compileModule(path)
      const found = stagesOf(exported, path)
      const fingerprints = await fingerprintsOf(found)
      stages.push(...found)
      specs.push({ type: 'module', module, fingerprints })
      identity.push(['module', hashOf(source), ...fingerprints].join(' '))
    } else {
      const fingerprints = await fingerprintsOf([option])
      stages.push(option)
      if (option.wire !== null) specs.push({ type: 'wire', stage: option.wire, fingerprints })
      identity.push(identityLine(option, fingerprints))
    }
  }
  return { stages, specs, identity }
}

/** What another run has to have too where this one has a stage. */
export async function identityOf(stage: AnyStage): Promise<string> {
  return identityLine(stage, await fingerprintsOf([stage]))
}

function identityLine({ name, identity }: AnyStage, fingerprints: readonly string[]): string {
  return [name, hashOf(JSON.stringify(identity)), ...fingerprints].join(' ')
}

function isPath(option: StageOption): option is string | URL {
  return typeof option === 'string' || option instanceof URL
}

function pathOf(option: string | URL): string {
  return typeof option === 'string' ? resolve(option) : fileURLToPath(option)
}

function fingerprintsOf(stages: readonly AnyStage[]): Promise<string[]> {
  return Promise.all(stages.flatMap((stage) => stage.fingerprint?.() ?? []))
}

/**
 * Makes the stages in a thread.
 *
 * Errors: SOURCE_CHANGED_WHILE_READING when they would not do what those of the run do.
 */
export async function makeStages(specs: readonly StageSpec[]): Promise<AnyStage[]> {
  const made = specs.map(async (spec) => {
    const stages =
      spec.type === 'wire'
        ? [stageOf(spec.stage)]
        : stagesOf(await runModule(spec.module), spec.module.path)
    const found = await fingerprintsOf(stages)
    if (found.join() !== spec.fingerprints.join()) throw changed(stages)
    return stages
  })
  return (await Promise.all(made)).flat()
}

function changed(stages: readonly AnyStage[]): SourceError {
  const names = stages.filter((stage) => stage.fingerprint !== undefined).map(({ name }) => name)
  const message = `a file that stage ${names.join(' or ')} reads was changed while the run began`
  return new SourceError('SOURCE_CHANGED_WHILE_READING', message)
}

function hashOf(what: string): string {
  return createHash('sha256').update(what).digest('hex')
}

/** Errors: CONFIG_BAD_STAGE. */
function stagesOf(exported: unknown, path: string): readonly AnyStage[] {
  const list = Array.isArray(exported) ? exported : [exported]
  if (list.every(isStage)) return list
  throw badModule(path, 'has no stage, and no list of stages, as its default export')
}

function isStage(value: unknown): value is AnyStage {
  return (
    typeof value === 'object' &&
    value !== null &&
    'bind' in value &&
    typeof value.bind === 'function'
  )
}
