import { CheckpointError } from '../core/errors.ts'
import type { JobOptions, JobTarget } from './job-state.ts'

const RESTART = '--restart begins anew'

/**
 * Refuses to go on when the options that decide which rows come out are not those the job began with.
 *
 * Errors: CHECKPOINT_OPTIONS_CHANGED, naming each difference.
 */
export function requireSameOptions(before: JobOptions, now: JobOptions): void {
  const differences: string[] = []
  const keys = new Set([...Object.keys(before.dialect), ...Object.keys(now.dialect)])
  for (const key of keys) {
    const was = JSON.stringify(before.dialect[key])
    const is = JSON.stringify(now.dialect[key])
    if (was !== is) differences.push(`${key} was ${was ?? 'unset'}, is ${is ?? 'unset'}`)
  }
  if (before.mode !== now.mode) differences.push(`mode was ${before.mode}, is ${now.mode}`)
  if (before.columns.join('\n') !== now.columns.join('\n')) {
    differences.push('the columns are filled from other fields')
  }
  if (differences.length === 0) return
  throw new CheckpointError(
    'CHECKPOINT_OPTIONS_CHANGED',
    `this job was begun with other options: ${differences.join('; ')}`,
    { hint: `use the options it was begun with; ${RESTART}` },
  )
}

/**
 * Refuses to go on when the table is not the one the job began with, as far as the catalog tells.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED with the reason.
 */
export function requireSameTarget(before: JobTarget, now: JobTarget | null): void {
  const name = `${before.schema}.${before.table}`
  if (now === null) throw targetChanged(`${name} is gone`)
  if (now.schema !== before.schema || now.table !== before.table) {
    throw targetChanged(`the job loads into ${name}, not into ${now.schema}.${now.table}`)
  }
  if (now.oid !== before.oid) throw targetChanged(`${name} was dropped and created again`)
  const gone = before.columns.filter((column) => !now.columns.includes(column))
  const added = now.columns.filter((column) => !before.columns.includes(column))
  if (gone.length + added.length === 0) return
  const changes = [...gone.map((c) => `without ${c}`), ...added.map((c) => `with ${c}`)]
  throw targetChanged(`the columns of ${name} were changed: now ${changes.join(', ')}`)
}

/** The refusal of a changed table. */
export function targetChanged(reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_TARGET_CHANGED', reason, {
    hint: `going on would leave a table with a part of the rows; ${RESTART}`,
  })
}

/** The refusal of a changed input. */
export function inputChanged(path: string, reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_INPUT_CHANGED', `${path} was changed: ${reason}`, {
    where: { source: path },
    hint: `going on would mix two versions of it; ${RESTART}`,
  })
}
