import type { Client } from 'pg'
import { raiseEpoch } from '../../checkpoint/job.ts'
import { describeJob, type JobStaging } from '../../checkpoint/job-state.ts'
import { inTransaction } from '../../checkpoint/transaction.ts'
import { type InferredColumn, inferredType, sqlType, widen } from '../../copy/infer-types.ts'
import { quoteIdentifier, quoteTable } from '../../core/identifier.ts'
import { findTable, type Table } from '../../target/catalog.ts'
import { jobTarget } from '../../target/job-table.ts'
import type { LoadPlan } from '../lanes/lane-protocol.ts'
import { columnsBehind, widenFields } from './field-types.ts'
import { type JobRequest, mappingOf, optionsOf } from './prepare-job.ts'
import { stagedTarget } from './staged-job.ts'

/**
 * Widens the columns of a table that a stream's first bytes have made too narrow, and returns the plan for the new
 * columns; null when nothing is left to widen.
 *
 * Shape: `table` is where the rows are, the staging table where there is one; `found` are the types of the values that did not fit, by field.
 * Why:   raising the epoch waits for the chunks in flight, and shuts out what is encoded for the old types: the bytes
 *        of an integer in COPY binary could pass for a text.
 */
export async function widenColumns(
  client: Client,
  request: JobRequest,
  plan: LoadPlan,
  table: Table,
  staging: JobStaging | null,
  found: readonly InferredColumn[],
): Promise<{ plan: LoadPlan; table: Table } | null> {
  const { settings, job } = request
  const fields = widenFields(plan.fields, (before, field) =>
    widen(before, found[field]?.type ?? 'none'),
  )
  const slots = columnsBehind(request.stages.stages, fields).map(({ slot }) => slot)
  const changes = table.columns.flatMap((column, i) => {
    const before = inferredType(column.type)
    const type = found[slots[i]!]?.type ?? 'none'
    const wider = before === null ? null : widen(before, type)
    return wider === null || wider === before ? [] : [{ name: column.name, type: sqlType(wider) }]
  })
  const sameFields = fields.every(({ type }, i) => type === plan.fields[i]!.type)
  if (changes.length === 0 && sameFields) return null
  return inTransaction(client, async () => {
    const epoch = await raiseEpoch(client, settings.stateSchema, job, plan.scope.epoch)
    const actions = changes.map(({ name, type }) => {
      const column = quoteIdentifier(name)
      return `alter column ${column} type ${type} using ${column}::${type}`
    })
    if (actions.length > 0) {
      await client.query(`alter table ${quoteTable(table)} ${actions.join(', ')}`)
    }
    const widened = (await findTable(client, table))!
    const target =
      staging === null
        ? jobTarget(widened, true)
        : stagedTarget({ ...widened, ...request.name }, true, {
            ...staging,
            fileNode: widened.fileNode,
          })
    const mapping = mappingOf(request, fields, widened, target)
    const options = optionsOf(request, fields, mapping, true)
    await describeJob(client, settings.stateSchema, job, target, options)
    settings.log.warn(
      { columns: changes },
      'values did not fit the types of the first bytes: columns widened',
    )
    const scope = { ...plan.scope, epoch }
    return { plan: { ...plan, fields, columns: mapping.columns, scope }, table: widened }
  })
}
