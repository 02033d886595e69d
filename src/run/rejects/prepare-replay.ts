import type { Client } from 'pg'
import type { HeldJob } from '../../checkpoint/job.ts'
import type { JobOptions, JobTarget } from '../../checkpoint/job-state.ts'
import { requireSameTable } from '../../checkpoint/refusals.ts'
import { type ColumnLimits, columnLimits } from '../../copy/column-limits.ts'
import { CheckpointError, ConfigError } from '../../core/errors.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import { selectEngine } from '../../source/csv/select-engine.ts'
import { findTable } from '../../target/catalog.ts'
import { requireNoCrash } from '../../target/job-table.ts'
import type { CopyTarget } from '../../target/copy-parts.ts'
import type { FieldInfo } from '../lanes/lane-protocol.ts'
import type { Mapping } from '../job/mapping.ts'
import { fieldsAgain, mappingOf } from '../job/prepare-job.ts'
import type { RunStages } from '../stages/stage-source.ts'

/** What the rejects of a job are loaded with: as its input was, where nothing else is said. */
export interface ReplayPlan {
  readonly dialect: CsvDialect
  readonly engine: CsvEngine
  readonly stages: RunStages
  /** What the stages are given. */
  readonly fields: readonly FieldInfo[]
  readonly mapping: Mapping
  readonly target: CopyTarget
  readonly limits: readonly ColumnLimits[]
}

/**
 * Prepares a held job for a replay. `given` says whether the caller has named stages, be it none.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED for a table that is gone, CHECKPOINT_OPTIONS_CHANGED for a job that had stages and is
 *         given none, or whose rows are not published, CONFIG_* for columns that do not fit, CONFIG_BAD_STAGE for a stage that must see all rows.
 */
export async function prepareReplay(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  stages: RunStages,
  given: boolean,
): Promise<ReplayPlan> {
  const options = job.options as JobOptions | null
  const before = job.target as JobTarget | null
  if (before === null || options?.fields === undefined) throw notNoted()
  if (before.staging !== undefined) throw notPublished()
  if (!given && (options.stages ?? []).length > 0) throw stagesMissing(options)
  requireReplayable(stages)

  const table = await findTable(client, before)
  requireSameTable(before, table)
  if (before.unlogged === true) await requireNoCrash(client, stateSchema, job.id, before)
  const start = { fieldCount: options.fields.count, names: options.fields.names }
  const fields = fieldsAgain({ start, stages, types: {} }, table, options)
  // Behind other stages the columns of a table of the job's own are known by their names alone.
  const isSame = stages.identity.join() === (options.stages ?? []).join()
  const created = before.created && isSame
  const mapping = mappingOf({ start, stages }, fields, table, { ...before, created })
  const dialect = options.dialect as unknown as CsvDialect
  const limits = mapping.names.map((name) => {
    const column = table.columns.find((one) => one.name === name)
    return columnLimits(column?.type ?? 'text', column?.notNull ?? false)
  })
  const target = { table: { schema: table.schema, table: table.table }, columns: mapping.names }
  const engine = await selectEngine(dialect)
  return { dialect, engine, stages, fields, mapping, target, limits }
}

/** Which rows came before in the input is not known: a rejected one has its place among them. */
function requireReplayable({ stages }: RunStages): void {
  const asking = stages.find(({ keySets }) => (keySets ?? []).length > 0)
  if (asking === undefined) return
  const message = `rejects cannot be replayed through ${asking.name}: it judges a row by all rows before it`
  throw new ConfigError('CONFIG_BAD_STAGE', message, {
    hint: 'replay with stages that leave it out; a unique key of the table refuses what comes twice',
  })
}

function stagesMissing({ stages = [] }: JobOptions): CheckpointError {
  const names = stages.map((stage) => stage.split(' ')[0] ?? '')
  const message = `the rows of this job went through stages (${names.join(', ')}), and none are given`
  return new CheckpointError('CHECKPOINT_OPTIONS_CHANGED', message, {
    hint: 'give the options --stage, --where, --select and --rename of the load again; they may be others than then',
  })
}

function notPublished(): CheckpointError {
  const message = 'the rows of this job are staged, and not published yet'
  return new CheckpointError('CHECKPOINT_OPTIONS_CHANGED', message, {
    hint: 'bring the load to its end first: the same command goes on with it',
  })
}

function notNoted(): CheckpointError {
  const message =
    'it is not noted with this job how its input is read: nothing of it can be replayed'
  return new CheckpointError('CHECKPOINT_OPTIONS_CHANGED', message, {
    hint: 'jobs that load() has begun with this version can be; --restart begins anew',
  })
}
