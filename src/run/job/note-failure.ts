import { endRun } from '../../checkpoint/job.ts'
import { AbortedError, MillraceError, toError } from '../../core/errors.ts'
import type { JobKeeper } from './job-keeper.ts'
import type { Settings } from '../options.ts'

/** The end of a run that has failed may take this long to be noted: a later run finds out by itself. */
const END_RUN_MS = 2_000

/** Ends a run that has failed, or was stopped. That it cannot be noted is a warning: what has failed is told anyway. */
export async function noteFailure(
  keeper: JobKeeper,
  run: number,
  { stateSchema, signal, log }: Pick<Settings, 'stateSchema' | 'signal' | 'log'>,
  error: Error,
): Promise<void> {
  const status = error instanceof AbortedError || signal.aborted ? 'interrupted' : 'failed'
  const code = error instanceof MillraceError ? error.code : 'INTERNAL'
  await keeper
    .use((client) => endRun(client, stateSchema, run, status, code), END_RUN_MS)
    .catch((failure: unknown) => {
      log.warn({ reason: toError(failure).message }, 'the end of this run could not be noted')
    })
}
