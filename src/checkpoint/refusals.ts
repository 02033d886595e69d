import { CheckpointError } from '../core/errors.ts'
import type { Claim } from './claims.ts'
import type { JobOptions, JobTarget } from './job-state.ts'

const RESTART = '--restart begins anew'

/**
 * Refuses to go on when the dialect is not the one the job began with.
 *
 * Errors: CHECKPOINT_OPTIONS_CHANGED, naming each difference.
 */
export function requireSameDialect(before: JobOptions, now: object): void {
  const was = before.dialect
  const is = now as Readonly<Record<string, unknown>>
  const differences = [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .map((key) => ({ key, was: JSON.stringify(was[key]), is: JSON.stringify(is[key]) }))
    .filter((one) => one.was !== one.is)
    .map((one) => `${one.key} was ${one.was ?? 'unset'}, is ${one.is ?? 'unset'}`)
  if (differences.length > 0) throw optionsChanged(differences.join('; '))
}

/**
 * Refuses to go on when other fields would fill the columns than when the job began.
 *
 * Errors: CHECKPOINT_OPTIONS_CHANGED.
 */
export function requireSameColumns(before: JobOptions, now: JobOptions): void {
  if (before.columns.join('\n') === now.columns.join('\n')) return
  throw optionsChanged('the columns are filled from other fields (--columns, or the header)')
}

/**
 * Refuses to go on with other stages than the job began with.
 *
 * Errors: CHECKPOINT_OPTIONS_CHANGED, naming the first that differs.
 */
export function requireSameStages(before: JobOptions, now: readonly string[]): void {
  const was = before.stages ?? []
  const count = Math.max(was.length, now.length)
  const first = Array.from({ length: count }, (_, i) => i).find((i) => was[i] !== now[i])
  if (first === undefined) return
  const name = (stage: string | undefined): string => stage?.split(' ')[0] ?? 'none'
  const change =
    name(was[first]) === name(now[first])
      ? `${name(was[first])} does something else`
      : `was ${name(was[first])}, is ${name(now[first])}`
  throw optionsChanged(`stage ${String(first + 1)}: ${change}`)
}

/**
 * Refuses to go on with rows that are to be seen at once when the job was begun with rows that are seen as they come, or the
 * other way round.
 *
 * Errors: CHECKPOINT_OPTIONS_CHANGED.
 */
export function requireSameAtomicity(before: JobOptions, now: boolean): void {
  if ((before.atomic ?? false) === now) return
  throw optionsChanged(now ? 'it was begun without --atomic' : 'it was begun with --atomic')
}

function optionsChanged(differences: string): CheckpointError {
  const message = `this job was begun with other options: ${differences}`
  return new CheckpointError('CHECKPOINT_OPTIONS_CHANGED', message, {
    hint: `use the options it was begun with; ${RESTART}`,
  })
}

/**
 * Refuses to go on when the table is not the one the job began with, whatever has become of its columns.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED with the reason.
 */
export function requireSameTable(
  before: JobTarget,
  now: Pick<JobTarget, 'schema' | 'table' | 'oid'> | null,
): asserts now is Pick<JobTarget, 'schema' | 'table' | 'oid'> {
  const name = `${before.schema}.${before.table}`
  if (now === null) throw targetChanged(`${name} is gone`)
  if (now.schema !== before.schema || now.table !== before.table) {
    throw targetChanged(`the job loads into ${name}, not into ${now.schema}.${now.table}`)
  }
  if (now.oid !== before.oid) throw targetChanged(`${name} was dropped and created again`)
}

/**
 * Refuses to go on when the table is not the one the job began with, as far as the catalog tells.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED with the reason.
 */
export function requireSameTarget(before: JobTarget, now: JobTarget | null): void {
  requireSameTable(before, now)
  const gone = before.columns.filter((column) => !now.columns.includes(column))
  const added = now.columns.filter((column) => !before.columns.includes(column))
  if (gone.length + added.length === 0) return
  const name = `${before.schema}.${before.table}`
  const changes = [...gone.map((c) => `without ${c}`), ...added.map((c) => `with ${c}`)]
  throw targetChanged(`the columns of ${name} were changed: now ${changes.join(', ')}`)
}

/** The refusal of a changed table. */
export function targetChanged(reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_TARGET_CHANGED', reason, {
    hint: `going on would leave a table with a part of the rows; ${RESTART}`,
  })
}

/** The refusal of an input whose committed bytes have changed. */
export function claimChanged(path: string, { start, end, firstLine }: Claim): CheckpointError {
  const place = `bytes ${String(start)} to ${String(end)} (from line ${String(firstLine)})`
  return inputChanged(path, `${place} are loaded, and are others now`)
}

/** The refusal of a changed input. */
export function inputChanged(path: string, reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_INPUT_CHANGED', `${path} was changed: ${reason}`, {
    where: { source: path },
    hint: `going on would mix two versions of it; ${RESTART}`,
  })
}
