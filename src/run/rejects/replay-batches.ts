import type { HeldJob } from '../../checkpoint/job.ts'
import { MOST_REJECTS } from '../../checkpoint/kept-rejects.ts'
import { nextRejects, unknownRejects } from '../../checkpoint/replays.ts'
import { batchesBySize } from '../../core/batches.ts'
import { ConfigError } from '../../core/errors.ts'
import type { JobKeeper } from '../job/job-keeper.ts'
import { readEdits } from './read-edits.ts'

/** Rejects that are loaded in one transaction, and other bytes for the records of some. */
export interface ReplayBatch {
  readonly ids: readonly number[]
  readonly edits: ReadonlyMap<number, Buffer>
}

/** The rejects of a job, as they are kept. */
export async function* keptBatches(
  keeper: JobKeeper,
  stateSchema: string,
  job: HeldJob,
  code: string | null,
): AsyncGenerator<ReplayBatch> {
  let after = { input: 0, byte: -1, id: 0 }
  for (;;) {
    const page = await keeper.use((client) => nextRejects(client, stateSchema, job, code, after))
    for (const batch of batchesBySize(page, MOST_REJECTS)) {
      yield { ids: batch.map(({ id }) => id), edits: new Map() }
    }
    const last = page.at(-1)
    if (last === undefined) return
    after = last
  }
}

/**
 * The rejects that a file has other bytes for, in its order. All of it is looked at before the first of them is loaded.
 *
 * Errors: CONFIG_BAD_VALUE for ids that are of no reject of the job, or come twice; as those of readEdits().
 */
export async function* editedBatches(
  keeper: JobKeeper,
  stateSchema: string,
  job: HeldJob,
  path: string,
): AsyncGenerator<ReplayBatch> {
  const seen = new Set<number>()
  for await (const edits of readEdits(path)) {
    const ids = edits.map(({ id }) => id)
    const twice = ids.find((id) => seen.size === seen.add(id).size)
    if (twice !== undefined) throw badIds(path, `id ${String(twice)} comes twice`)
    const unknown = await keeper.use((client) => unknownRejects(client, stateSchema, job, ids))
    if (unknown.length > 0) throw badIds(path, `no reject of this job has ${listed(unknown)}`)
  }
  for await (const edits of readEdits(path)) {
    yield { ids: edits.map(({ id }) => id), edits: new Map(edits.map(({ id, raw }) => [id, raw])) }
  }
}

function listed(ids: readonly number[]): string {
  const more = ids.length > 5 ? ` and ${String(ids.length - 5)} others` : ''
  return `id ${ids.slice(0, 5).join(', ')}${more}`
}

function badIds(path: string, reason: string): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `${path}: ${reason}`, {
    hint: 'take the ids as `millrace rejects export` of this job writes them, and change the records alone',
  })
}
