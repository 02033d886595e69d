import type { Client } from 'pg'
import { completeInput } from '../../checkpoint/job-state.ts'
import { rejectReasons } from '../../checkpoint/rejects.ts'
import { CheckpointError, RejectError, type RejectReason } from '../../core/errors.ts'
import { columnLimits } from '../../copy/column-limits.ts'
import { type Table } from '../../target/catalog.ts'
import type { CopyTarget } from '../../target/copy-parts.ts'
import { requireNoCrash } from '../../target/job-table.ts'
import type { LoadPlan } from '../lanes/lane-protocol.ts'
import { type LoadedRange, type OnMisfit } from '../lanes/lanes.ts'
import type { JobKeeper } from './job-keeper.ts'
import { requireClaims } from './lost-chunks.ts'
import { type JobRequest, prepareJob, type PreparedJob } from './prepare-job.ts'
import { publishJob } from './publish.ts'
import { judgeQuality } from './quality-gate.ts'
import { RejectLimit } from './reject-limit.ts'
import { remainingCuts } from './remaining-cuts.ts'
import type { Tally } from '../tally.ts'
import { widenColumns } from './widen.ts'

/** Prepares a held job and loads what remains of it. */
export async function runJob(
  request: JobRequest,
  keeper: JobKeeper,
  tally: Tally,
): Promise<'complete' | 'already-complete'> {
  const { settings, start, job, lanes, buffers } = request
  const { source, engine, data } = start
  const prepared = await prepareJob(request)
  tally.prepared(prepared)
  if (prepared.input.completedAt !== null && source.size !== null) return 'already-complete'

  const { table, staging, fields, mapping, claims } = prepared
  if (mapping.leftOut.length > 0) {
    settings.log.info({ columns: mapping.leftOut }, 'fields left out: the server computes them')
  }
  const scope = {
    stateSchema: settings.stateSchema,
    job: job.id,
    epoch: job.epoch,
    run: job.run,
    input: prepared.input.id,
    unlogged: table.isUnlogged && staging === null,
  }
  const target = copyTarget(prepared)
  const widening = prepared.ownTable && source.size === null && staging?.publication !== 'insert'
  const limits = mapping.names.map((name) => {
    const column = table.columns.find((one) => one.name === name)
    return columnLimits(column?.type ?? 'text', column?.notNull ?? false)
  })
  const { columns } = mapping
  let plan: LoadPlan = { target, fields, columns, limits, scope, widening }
  let current: Table = { ...table, ...target.table }
  const onMisfit: OnMisfit = (epoch, columns) =>
    keeper.use(async (client) => {
      // Another lane's misfit has been dealt with meanwhile; its plan may do for this one too.
      if (epoch < plan.scope.epoch) return plan
      const widened = await widenColumns(client, request, plan, current, staging, columns)
      if (widened === null) return null
      ;({ plan, table: current } = widened)
      return plan
    })
  const recall = request.stages.stages.some(({ keySets }) => (keySets ?? []).length > 0)
  if (recall && claims.length > 0) {
    const bytes = claims.reduce((sum, claim) => sum + claim.end - claim.start, 0)
    settings.log.info({ bytes }, 'stages ask for keys: what is loaded already is read again')
  }
  const cuts = remainingCuts({
    ...{ source, engine, claims, data, buffers, recall },
    limits: request.limits,
  })
  const limit = new RejectLimit(settings.maxErrors, data.byte)
  let end = claims.at(-1)?.end ?? data.byte
  const onLoaded = (loaded: LoadedRange): void => {
    end = Math.max(end, loaded.range.end)
    tally.add(loaded)
    const { range, rejected } = loaded
    limit.add({ start: range.start, end: range.end, read: range.records, rejected })
    settings.log.debug(chunkFields(loaded), 'chunk committed')
  }
  const { id } = prepared.input
  const reasons = (): Promise<RejectReason[]> =>
    keeper.use((client) => rejectReasons(client, settings.stateSchema, id))
  try {
    for (const claim of claims) limit.add(claim)
    await lanes.load(plan, cuts, onLoaded, onMisfit, settings.signal)
    limit.finish()
  } catch (error) {
    const isFenced = error instanceof CheckpointError && error.code === 'CHECKPOINT_FENCED'
    // A chunk is shut out for this as well.
    if (isFenced && scope.unlogged) {
      await keeper.use((client) => requireNoCrash(client, settings.stateSchema, job.id, table))
    }
    if (!(error instanceof RejectError)) throw error
    throw new RejectError(error.message, await reasons(), error)
  }
  if (limit.rejected > 0) tally.rejected(await reasons())
  await source.verify()
  const size = source.size ?? end
  const requireAll = (client: Client): Promise<void> =>
    requireClaims(client, settings.stateSchema, id, size - data.byte)
  await keeper.use(requireAll)
  const nothingNew = prepared.input.completedAt !== null && tally.progress().chunks === 0
  if (!nothingNew) {
    const onFindings = tally.judged.bind(tally)
    await judgeQuality(request, keeper, { input: id, fields: plan.fields, onFindings })
  }
  if (staging === null) {
    await keeper.use(async (client) => {
      if (scope.unlogged) await requireNoCrash(client, settings.stateSchema, job.id, table)
      await requireAll(client)
      await completeInput(client, settings.stateSchema, id, size)
    })
  } else {
    const { epoch } = plan.scope
    const from = data.byte
    await publishJob(request, keeper, { epoch, input: id, from, size, filled: mapping.names })
  }
  return nothingNew ? 'already-complete' : 'complete'
}

/** Where the lanes put rows: into the table, or into its staging table. */
function copyTarget({ table, staging, mapping }: PreparedJob): CopyTarget {
  const name = { schema: table.schema, table: table.table }
  const columns = mapping.names
  if (staging === null) return { table: name, columns }
  const { schema, table: staged, publication, enforces, names } = staging
  const beside = publication === 'insert' && enforces ? name : null
  return { table: { schema, table: staged }, columns, staged: { target: beside, names } }
}

function chunkFields({ range, rows, rejected, outcome, milliseconds }: LoadedRange): object {
  return {
    start: range.start,
    end: range.end,
    rows,
    rejected,
    outcome,
    milliseconds: Math.round(milliseconds),
  }
}
