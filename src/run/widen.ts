import type { Client } from 'pg'
import { raiseEpoch } from '../checkpoint/job.ts'
import { describeJob } from '../checkpoint/job-state.ts'
import { inTransaction } from '../checkpoint/transaction.ts'
import { type InferredColumn, inferredType, sqlType, widen } from '../copy/infer-types.ts'
import { quoteIdentifier, quoteTable } from '../core/identifier.ts'
import { findTable, type Table } from '../target/catalog.ts'
import { jobTarget } from '../target/job-table.ts'
import type { LoadPlan } from './lane-protocol.ts'
import { mapColumns } from './mapping.ts'
import { type JobRequest, optionsOf } from './prepare-job.ts'

/**
 * Widens the columns of a table that a stream's first bytes have made too narrow, and returns the plan for the new
 * columns; null when nothing is left to widen.
 *
 * Shape: `found` are the types of the values that did not fit, by field.
 * Why:   raising the epoch waits for the chunks in flight, and shuts out what is encoded for the old types: the bytes
 *        of an integer in COPY binary could pass for a text.
 */
export async function widenColumns(
  client: Client,
  request: JobRequest,
  plan: LoadPlan,
  table: Table,
  found: readonly InferredColumn[],
): Promise<{ plan: LoadPlan; table: Table } | null> {
  const { settings, start, job } = request
  const changes = table.columns.flatMap((column, field) => {
    const before = inferredType(column.type)
    const type = found[field]?.type ?? 'none'
    const wider = before === null ? null : widen(before, type)
    return wider === null || wider === before ? [] : [{ name: column.name, type: sqlType(wider) }]
  })
  if (changes.length === 0) return null
  return inTransaction(client, async () => {
    const epoch = await raiseEpoch(client, settings.stateSchema, job, plan.scope.epoch)
    const actions = changes.map(({ name, type }) => {
      const column = quoteIdentifier(name)
      return `alter column ${column} type ${type} using ${column}::${type}`
    })
    await client.query(`alter table ${quoteTable(table)} ${actions.join(', ')}`)
    const widened = (await findTable(client, table))!
    const mapping = mapColumns(widened, start.fieldCount)
    const options = optionsOf(start, mapping, true)
    await describeJob(client, settings.stateSchema, job, jobTarget(widened, true), options)
    settings.log.warn(
      { columns: changes },
      'values did not fit the types of the first bytes: columns widened',
    )
    const scope = { ...plan.scope, epoch }
    return { plan: { ...plan, columns: mapping.columns, scope }, table: widened }
  })
}
