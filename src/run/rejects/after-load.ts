import { OutputError, RejectError, toError } from '../../core/errors.ts'
import type { JobKeeper } from '../job/job-keeper.ts'
import type { Settings } from '../options.ts'
import { writeRejects } from './export.ts'
import { exportFormat } from './export-format.ts'
import { requireWritable } from './write-file.ts'

/** Refuses a file for rejects before anything is loaded. Errors: CONFIG_BAD_VALUE, REJECTS_NOT_WRITTEN. */
export async function requireRejectsFile(output: string): Promise<void> {
  exportFormat(output)
  await requireWritable(output)
}

/** Whose rejects are written where. */
interface RejectsFile {
  /** Null for nowhere. */
  readonly output: string | undefined
  readonly job: string
  readonly keeper: JobKeeper
  readonly settings: Settings
}

/**
 * Loads, and writes the rejects of the job behind it; behind a load that fails for too many of them too.
 *
 * Errors: those of the load; REJECTS_NOT_WRITTEN, and what is loaded stays.
 */
export async function thenWriteRejects<T>(
  load: () => Promise<T>,
  { output, job, keeper, settings }: RejectsFile,
): Promise<T> {
  if (output === undefined) return load()
  const { stateSchema, log } = settings
  const write = (): Promise<number> =>
    keeper.use((client) => writeRejects(client, stateSchema, { job, code: null }, output))
  let result: T
  try {
    result = await load()
  } catch (error) {
    if (error instanceof RejectError) {
      await write().catch((failure: unknown) =>
        log.warn({ reason: toError(failure).message }, 'the rejects could not be written'),
      )
    }
    throw error
  }
  await write().catch((failure: unknown) => {
    if (!(failure instanceof OutputError)) throw failure
    throw new OutputError(`the load is complete, but ${failure.message}`, failure)
  })
  return result
}
