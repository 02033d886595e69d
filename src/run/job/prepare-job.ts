import { crc32 } from 'node:zlib'
import type { Client } from 'pg'
import { type Claim, readClaims } from '../../checkpoint/claims.ts'
import type { HeldJob } from '../../checkpoint/job.ts'
import {
  addInput,
  describeJob,
  forgetJob,
  type JobInput,
  type JobOptions,
  type JobStaging,
  type JobTarget,
  readInput,
  type StoredIdentity,
  updateInput,
  updateTarget,
} from '../../checkpoint/job-state.ts'
import {
  requireSameAtomicity,
  requireSameColumns,
  requireSameDialect,
  requireSameStages,
} from '../../checkpoint/refusals.ts'
import { replayedRows } from '../../checkpoint/replays.ts'
import { setCrashMark } from '../../checkpoint/crash-mark.ts'
import { inTransaction } from '../../checkpoint/transaction.ts'
import { verifyInput } from '../../checkpoint/verify-input.ts'
import type { InferredColumn } from '../../copy/infer-types.ts'
import { SourceError } from '../../core/errors.ts'
import { quoteTable, type TableName } from '../../core/identifier.ts'
import { type Cut, cut, type CutLimits } from '../../source/csv/cut.ts'
import type { Table } from '../../target/catalog.ts'
import type { ConnectionTarget } from '../../target/connect.ts'
import { countRows, jobTarget, requireNoCrash } from '../../target/job-table.ts'
import { dropStaging } from '../../target/staging.ts'
import type { BufferPool } from '../lanes/buffer-pool.ts'
import { columnsBehind, inferredFields, tableFields } from './field-types.ts'
import { columnNames, type CsvStart, type FieldNames } from '../input/header.ts'
import type { FieldInfo } from '../lanes/lane-protocol.ts'
import type { Lanes } from '../lanes/lanes.ts'
import { mapInSlotOrder, type Mapping } from './mapping.ts'
import type { Settings } from '../options.ts'
import { createTable, defineColumns, noTable } from './plan.ts'
import { requireRows, stagedTarget, stageJob, tableAgain } from './staged-job.ts'
import type { RunStages } from '../stages/stage-source.ts'
import { tryStages, typedColumns } from '../stages/stage-trial.ts'
import { sampleOf } from '../input/stream-sample.ts'

/** What a held job is prepared from. */
export interface JobRequest {
  readonly client: Client
  /** For connections beside it. */
  readonly connection: ConnectionTarget
  readonly settings: Settings
  readonly start: CsvStart
  readonly job: HeldJob
  readonly name: TableName
  /** Null where it does not exist. */
  readonly table: Table | null
  readonly types: Readonly<Record<string, string>>
  readonly stages: RunStages
  readonly limits: CutLimits
  readonly lanes: Lanes
  readonly buffers: BufferPool
  /** Told of the bytes that are read for inference. */
  readonly onInferred: (bytes: number) => void
}

/** A job that is ready to be loaded: all checks are made, and the table is there. */
export interface PreparedJob {
  readonly table: Table
  /** Where the rows go first; null where they go into the table. */
  readonly staging: JobStaging | null
  /** What the stages are given. */
  readonly fields: readonly FieldInfo[]
  readonly mapping: Mapping
  readonly input: JobInput
  readonly claims: readonly Claim[]
  /** What created the table, where this run did. */
  readonly ddl: string | null
  /** Whether the job has created the table. */
  readonly ownTable: boolean
}

/**
 * Prepares a held job: begins it, or checks that it may be gone on with.
 *
 * Errors: CHECKPOINT_* for what has changed, CONFIG_* for columns that do not fit, TARGET_NO_TABLE.
 */
export async function prepareJob(request: JobRequest): Promise<PreparedJob> {
  const { client, job, settings, table } = request
  const before = job.target as JobTarget | null
  const input = await readInput(client, settings.stateSchema, job)
  if (before === null || input === null) return beginJob(request, table)
  if (settings.resume === 'restart') return restartJob(request, before, input)
  return resumeJob(request, before, input)
}

async function beginJob(request: JobRequest, table: Table | null): Promise<PreparedJob> {
  const { client, settings, start, name } = request
  if (table === null && settings.create === 'never') throw noTable(name)
  if (table === null && start.fieldCount === 0) throw emptyInput(start, name)
  const names = columnNames(start)
  const { stages } = request.stages
  if (table !== null) {
    const fields = tableFields(names, table, stages, request.types)
    await tryStages(request, fields)
    return inTransaction(client, () => noteJob(request, table, fields, null, null))
  }
  const inferred = await inferInput(request)
  const fields = inferredFields(names, inferred.columns, request.types)
  const columns = await typedColumns(request, fields)
  return inTransaction(client, async () => {
    const definitions = defineColumns(start, inferred.columns, columns, request.types)
    const created = await createTable(client, name, definitions)
    return noteJob(request, created.table, fields, created.ddl, inferred.checksum)
  })
}

async function noteJob(
  request: JobRequest,
  table: Table,
  fields: readonly FieldInfo[],
  ddl: string | null,
  checksum: number | null,
): Promise<PreparedJob> {
  const { client, settings, start, job } = request
  const { stateSchema } = settings
  const { source } = start
  const created = ddl !== null
  const mapping = mappingOf(request, fields, table, { created })
  const staging = settings.atomic ? await stageJob(request, table, mapping, created) : null
  const target =
    staging === null ? jobTarget(table, created) : stagedTarget(table, created, staging)
  const options = optionsOf(request, fields, mapping, target.created)
  await describeJob(client, stateSchema, job, target, options)
  const identity: StoredIdentity = {
    ...source.identity,
    ...(checksum === null ? {} : { whole: { from: start.data.byte, crc32: checksum } }),
  }
  if (table.isUnlogged && staging === null) await setCrashMark(client, stateSchema, job.id)
  const id = await addInput(client, stateSchema, job, source.name, identity, source.size)
  const input = { id, identity, size: source.size, completedAt: null }
  return { table, staging, fields, mapping, input, claims: [], ddl, ownTable: created }
}

/** Begins a job anew. A table that the job itself has created, and that holds nothing else, is made anew too. */
async function restartJob(
  request: JobRequest,
  before: JobTarget,
  input: JobInput,
): Promise<PreparedJob> {
  const { client, settings, table, job } = request
  const claims = await readClaims(client, settings.stateSchema, input.id)
  const placed = before.staging === undefined ? loadedRows(claims) : (before.published ?? 0)
  const loaded = placed + (await replayedRows(client, settings.stateSchema, job))
  const own = table !== null && before.created && table.oid === before.oid
  const dropped = own && (await countRows(client, table)) <= loaded
  await inTransaction(client, async () => {
    if (dropped) await client.query(`drop table ${quoteTable(table)}`)
    if (before.staging !== undefined) await dropStaging(client, before.staging)
    await forgetJob(client, settings.stateSchema, job)
  })
  if (!dropped && loaded > 0 && table !== null) {
    const name = `${table.schema}.${table.table}`
    settings.log.warn({ rows: loaded }, `rows of the earlier run stay in ${name}`)
  }
  return beginJob(request, dropped ? null : table)
}

async function resumeJob(
  request: JobRequest,
  before: JobTarget,
  input: JobInput,
): Promise<PreparedJob> {
  const { client, settings, start, job } = request
  const options = job.options as JobOptions
  requireSameAtomicity(options, settings.atomic)
  const table = await tableAgain(request, before)
  if (table === null) throw noTable(request.name)
  // The dialect first: with another delimiter the fields do not fit the table either, and that would be a riddle.
  requireSameDialect(options, start.dialect)
  requireSameStages(options, request.stages.identity)
  const fields = fieldsAgain(request, table, options)
  const mapping = mappingOf(request, fields, table, before)
  requireSameColumns(options, optionsOf(request, fields, mapping, before.created))
  const claims = await readClaims(client, settings.stateSchema, input.id)
  const replayed = await replayedRows(client, settings.stateSchema, job)
  await requireRows(client, before, table, loadedRows(claims), replayed)
  await markedAgain(request, before, table, claims)
  const again = await inputAgain(request, input, claims)
  const done = again.completedAt !== null && start.source.size !== null
  const staging =
    before.staging ??
    (settings.atomic && !done ? await stageMore(request, before, table, mapping) : null)
  const ownTable = before.created
  return { table, staging, fields, mapping, input: again, claims, ddl: null, ownTable }
}

/** Refuses an unlogged table that a crash has emptied; one that was made so since then is marked. */
async function markedAgain(
  { client, settings, job }: JobRequest,
  before: JobTarget,
  table: Table,
  claims: readonly Claim[],
): Promise<void> {
  const { stateSchema } = settings
  if (!table.isUnlogged || before.staging !== undefined) return
  if (before.unlogged === true && claims.length > 0) {
    return requireNoCrash(client, stateSchema, job.id, table)
  }
  await inTransaction(client, async () => {
    await setCrashMark(client, stateSchema, job.id)
    await updateTarget(client, stateSchema, job.id, { ...before, unlogged: true })
  })
}

/** Makes another staging table for a job whose rows so far are published. */
async function stageMore(
  request: JobRequest,
  before: JobTarget,
  table: Table,
  mapping: Mapping,
): Promise<JobStaging> {
  const { client, settings, job } = request
  return inTransaction(client, async () => {
    const staging = await stageJob(request, table, mapping, false)
    await updateTarget(client, settings.stateSchema, job.id, { ...before, staging })
    return staging
  })
}

/**
 * Checks that the input is the one its job was begun with, or one that has grown as it may.
 *
 * Errors: CHECKPOINT_INPUT_CHANGED, CHECKPOINT_INPUT_GROWN.
 */
async function inputAgain(
  { client, settings, start }: JobRequest,
  input: JobInput,
  claims: readonly Claim[],
): Promise<JobInput> {
  const { source } = start
  if (source.identity === null) return input
  const growth = settings.resume === 'appended' ? 'allow' : 'refuse'
  const check = await verifyInput(source, source.identity, input.identity, claims, growth)
  if (!check.touched) return input
  const completedAt = check.grown ? null : input.completedAt
  const { whole } = input.identity
  const identity =
    whole === undefined || check.grown ? source.identity : { ...source.identity, whole }
  await updateInput(client, settings.stateSchema, input.id, identity, source.size)
  return { ...input, size: source.size, completedAt }
}

/**
 * Infers the types of the columns in the lanes: from all of a file, whose checksum is taken as it passes by, or from
 * the start of a stream, which stays to be read.
 */
async function inferInput(
  request: JobRequest,
): Promise<{ columns: readonly InferredColumn[]; checksum: number | null }> {
  const { settings, start, lanes, limits, buffers } = request
  const { data, engine } = start
  const isFile = start.source.size !== null
  const source = isFile ? start.source : await sampleOf(start)
  let checksum = 0
  async function* summed(): AsyncGenerator<Cut> {
    for await (const piece of cut(source, engine, data, source.size, limits, buffers)) {
      checksum = crc32(Buffer.from(piece.buffer, 0, piece.length), checksum)
      request.onInferred(piece.range.end)
      yield piece
    }
  }
  const columns = await lanes.infer(summed(), start.fieldCount, settings.signal)
  return { columns, checksum: isFile ? checksum : null }
}

/** The types of the fields as the job's first run has found them out: stages must see the same values. */
export function fieldsAgain(
  { start, stages, types }: KnownFields & Pick<JobRequest, 'types'>,
  table: Table,
  options: JobOptions,
): readonly FieldInfo[] {
  const names = columnNames(start)
  const before = options.fieldTypes
  if (before?.length === names.length) return names.map((name, i) => ({ name, type: before[i]! }))
  return tableFields(names, table, stages.stages, types)
}

/** The fields of an input, and the stages behind them. */
interface KnownFields extends Pick<JobRequest, 'stages'> {
  readonly start: FieldNames
}

export function mappingOf(
  { start, stages }: KnownFields,
  fields: readonly FieldInfo[],
  table: Table,
  target: Pick<JobTarget, 'created'>,
): Mapping {
  if (start.fieldCount === 0) return { names: [], columns: [], leftOut: [] }
  const columns = columnsBehind(stages.stages, fields)
  // A table of the job's own making has a column for each, in their order, whatever they are called.
  const byPosition = target.created || (start.names === null && stages.stages.length === 0)
  return mapInSlotOrder(table, columns, { byPosition })
}

export function optionsOf(
  { start, stages, settings }: JobRequest,
  fields: readonly FieldInfo[],
  mapping: Mapping,
  ownTable: boolean,
): JobOptions {
  const names = ownTable ? columnsBehind(stages.stages, fields).map((c) => c.name) : mapping.names
  const staged = { stages: stages.identity, fieldTypes: fields.map(({ type }) => type) }
  return {
    mode: 'append',
    ...(settings.atomic ? { atomic: true } : {}),
    dialect: { ...start.dialect },
    fields: { count: start.fieldCount, names: start.names },
    columns: mapping.columns.map(({ slot }, i) => `${String(slot)} ${names[i] ?? ''}`),
    ...(stages.identity.length === 0 ? {} : staged),
  }
}

function loadedRows(claims: readonly Claim[]): number {
  return claims.reduce((sum, claim) => sum + claim.loaded, 0)
}

function emptyInput(start: CsvStart, name: TableName): SourceError {
  const message = `${start.source.name} is empty: there is no header to make ${name.schema}.${name.table} of`
  return new SourceError('SOURCE_BAD_HEADER', message, {
    hint: 'create the table first; an empty file then loads no rows',
  })
}
