import type { Client } from 'pg'
import { type Claim, readClaims } from '../../checkpoint/claims.ts'
import type { HeldJob } from '../../checkpoint/job.ts'
import {
  addInput,
  describeJob,
  forgetJob,
  type JobInput,
  type JobOptions,
  type JobTarget,
  readInput,
} from '../../checkpoint/job-state.ts'
import {
  inputChanged,
  requireSameAtomicity,
  requireSameColumns,
  requireSameDialect,
  requireSameStages,
  requireSameTarget,
} from '../../checkpoint/refusals.ts'
import { setCrashMark } from '../../checkpoint/crash-mark.ts'
import { inTransaction } from '../../checkpoint/transaction.ts'
import type { Position } from '../../chunk/range.ts'
import { CheckpointError } from '../../core/errors.ts'
import type { TableName } from '../../core/identifier.ts'
import type { InputIdentity } from '../../source/bytes/byte-source.ts'
import type { Table } from '../../target/catalog.ts'
import { typeName } from '../../target/create-table.ts'
import { jobTarget, requireLoadedRows, requireNoCrash } from '../../target/job-table.ts'
import { dropStaging } from '../../target/staging.ts'
import { sqlName } from '../job/field-types.ts'
import { mapInSlotOrder, type Mapping } from '../job/mapping.ts'
import { createTable, noTable } from '../job/plan.ts'
import { typedBy } from '../input/sample-types.ts'
import type { StreamChunk } from './stream-chunk.ts'

/** What is known of a job before the first chunk of its stream. */
export interface StreamJob {
  readonly client: Client
  readonly stateSchema: string
  readonly job: HeldJob
  readonly name: TableName
  /** Null where it does not exist. */
  readonly table: Table | null
  readonly create: 'if-missing' | 'never'
  /** Types of columns, for a table that is created. */
  readonly types: Readonly<Record<string, string>>
  readonly input: JobInput | null
  readonly claims: readonly Claim[]
}

/** A job that is ready to be loaded. */
export interface ReadyJob {
  readonly table: Table
  readonly mapping: Mapping
  readonly input: number
}

/** Reads what a job has loaded, or forgets it. */
export async function readStreamJob(
  client: Client,
  stateSchema: string,
  job: HeldJob,
  resume: 'resume' | 'restart',
): Promise<{ input: JobInput | null; claims: readonly Claim[] }> {
  const input = await readInput(client, stateSchema, job)
  if (input === null) return { input, claims: [] }
  if (resume === 'restart') {
    await inTransaction(client, async () => {
      const { staging } = job.target as JobTarget
      if (staging !== undefined) await dropStaging(client, staging)
      await forgetJob(client, stateSchema, job)
    })
    return { input: null, claims: [] }
  }
  return { input, claims: await readClaims(client, stateSchema, input.id) }
}

/**
 * Where a stream goes on: behind what is committed; null at the start.
 *
 * Errors: CHECKPOINT_OPTIONS_CHANGED for a job that several lanes have worked on, which leaves gaps.
 */
export function positionBehind(claims: readonly Claim[]): Position | null {
  const last = claims.at(-1)
  if (last === undefined) return null
  const gap = claims.find((claim, i) => i > 0 && claim.start !== claims[i - 1]!.end)
  if (gap !== undefined) {
    const message = 'this job was loaded by several lanes, and has gaps before what is committed'
    throw new CheckpointError('CHECKPOINT_OPTIONS_CHANGED', message, {
      hint: 'go on with load(), or begin a job of its own',
    })
  }
  return {
    byte: last.end,
    record: last.firstRecord + last.read,
    line: last.firstLine + last.lines,
  }
}

/**
 * Begins a job with the first chunk of its stream, or checks that it may be gone on with.
 *
 * Errors: CHECKPOINT_* for what has changed, CONFIG_* for columns that do not fit, TARGET_NO_TABLE.
 */
export async function readyJob(known: StreamJob, chunk: StreamChunk): Promise<ReadyJob> {
  return known.input === null ? beginJob(known, chunk) : resumeJob(known, known.input, chunk)
}

function beginJob(known: StreamJob, chunk: StreamChunk): Promise<ReadyJob> {
  const { client, stateSchema, job } = known
  return inTransaction(client, async () => {
    const table = known.table ?? (await makeTable(known, chunk))
    const target = jobTarget(table, known.table === null)
    const mapping = mapInSlotOrder(table, chunk.schema.columns, { byPosition: target.created })
    const { name, identity } = chunk.place.origin
    await describeJob(client, stateSchema, job, target, optionsOf(chunk, mapping))
    if (table.isUnlogged) await setCrashMark(client, stateSchema, job.id)
    const input = await addInput(client, stateSchema, job, name, identity ?? {}, null)
    return { table, mapping, input }
  })
}

async function makeTable(known: StreamJob, chunk: StreamChunk): Promise<Table> {
  if (known.create === 'never') throw noTable(known.name)
  const columns = typedBy(chunk.data, chunk.schema.columns).map(({ name, type }) => ({
    name,
    type: Object.hasOwn(known.types, name) ? typeName(known.types[name]!) : sqlName(type ?? 'text'),
  }))
  return (await createTable(known.client, known.name, columns)).table
}

/**
 * Refuses a job that was begun with another table, or whose rows are gone from it.
 *
 * Errors: CHECKPOINT_TARGET_CHANGED.
 */
export async function requireTarget(known: StreamJob): Promise<void> {
  const { client, stateSchema, job, table, claims } = known
  const before = job.target as JobTarget
  requireSameAtomicity(job.options as JobOptions, false)
  requireSameTarget(before, table === null ? null : jobTarget(table, before.created))
  const rows = claims.reduce((sum, claim) => sum + claim.loaded, 0)
  if (table === null) return
  await requireLoadedRows(client, before, table, rows)
  if (!table.isUnlogged) return
  if (before.unlogged === true && claims.length > 0) {
    await requireNoCrash(client, stateSchema, job.id, table)
  } else await setCrashMark(client, stateSchema, job.id)
}

function resumeJob({ job, table, name }: StreamJob, input: JobInput, chunk: StreamChunk): ReadyJob {
  if (table === null) throw noTable(name)
  const before = job.target as JobTarget
  const options = job.options as JobOptions
  const { origin } = chunk.place
  requireSameDialect(options, origin.dialect)
  requireSameStages(options, chunk.schema.stages)
  const mapping = mapInSlotOrder(table, chunk.schema.columns, { byPosition: before.created })
  requireSameColumns(options, optionsOf(chunk, mapping))
  requireSameInput(origin.name, input.identity, origin.identity)
  return { table, mapping, input: input.id }
}

/** What is behind the position is all that is read: a file that was touched cannot be told from one that was changed. */
function requireSameInput(
  name: string,
  before: Partial<InputIdentity>,
  now: InputIdentity | null,
): void {
  const keys = ['size', 'head', 'tail', 'mtime'] as const
  if (now === null || keys.every((key) => before[key] === now[key])) return
  throw inputChanged(name, 'its size, edges or modification time are others')
}

function optionsOf(chunk: StreamChunk, mapping: Mapping): JobOptions {
  const { stages, columns } = chunk.schema
  const types = columns.map(({ type }) => type ?? '')
  return {
    mode: 'append',
    dialect: { ...chunk.place.origin.dialect },
    columns: mapping.columns.map(({ slot }, i) => `${String(slot)} ${mapping.names[i]!}`),
    ...(stages.length === 0 ? {} : { stages, fieldTypes: types }),
  }
}
