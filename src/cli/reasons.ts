import type { RejectReason } from '../index.ts'
import { formatCount } from './units.ts'

/** What rows were rejected for, as people read it. */
export function reasonText({
  code,
  column,
  constraint,
  stage,
}: Pick<RejectReason, 'code' | 'column' | 'constraint' | 'stage'>): string {
  const of = [
    ...(column === null ? [] : [`column ${column}`]),
    ...(constraint === null ? [] : [`constraint ${constraint}`]),
    ...(stage === null ? [] : [`stage ${stage}`]),
  ]
  return [code, ...of].join(', ')
}

/** A reason with the first of its rows. */
export function reasonLine(reason: RejectReason): string {
  const { rows, record, line } = reason
  return `  ${formatCount(rows)} x ${reasonText(reason)}: the first is record ${String(record)} (line ${String(line)})`
}
