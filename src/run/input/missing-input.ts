import { resolve } from 'node:path'
import { SourceError } from '../../core/errors.ts'
import type { ByteSource } from '../../source/bytes/byte-source.ts'
import { openInput } from '../../source/open.ts'
import type { PlainOptions, Settings } from '../options.ts'
import { tableNameOf } from '../job/plan.ts'
import { peakRss, type Summary } from '../summary.ts'

/**
 * Opens an input; null where there is none, and that is allowed.
 *
 * Errors: as openInput().
 */
export async function openUnlessMissing(
  input: PlainOptions['input'],
  { missing, log }: Settings,
): Promise<ByteSource | null> {
  try {
    return await openInput(input)
  } catch (error) {
    if (missing === 'fail' || !isMissing(error)) throw error
    log.warn({ source: error.where?.source }, `${error.message}: nothing is loaded`)
    return null
  }
}

/** A directory on the way that may not be entered, or is a file, says nothing of whether the input is there. */
function isMissing(error: unknown): error is SourceError {
  return (
    error instanceof SourceError && (error.cause as NodeJS.ErrnoException | null)?.code === 'ENOENT'
  )
}

/** The summary of a run that has found no input: no server was asked anything. */
export function missingSummary(options: PlainOptions, { lanes, atomic }: Settings): Summary {
  const path = resolve(String(options.input))
  const target = options.table ?? tableNameOf(path)
  return {
    run: 0,
    job: options.job ?? `${path} -> ${target}`,
    status: 'missing',
    target,
    mode: 'append',
    atomic,
    rows: { read: 0, loaded: 0, rejected: 0, filtered: 0, added: 0, unchanged: 0 },
    bytes: 0,
    chunks: 0,
    seconds: 0,
    rowsPerSecond: 0,
    mbPerSecond: 0,
    peakRssBytes: peakRss(),
    lanes,
    stages: [],
    quality: [],
    rejects: [],
    resumed: { rows: 0, bytes: 0 },
    inputs: [{ path, rows: 0, bytes: 0 }],
    created: null,
    completedAt: null,
  }
}
