import type { RejectReason } from '../index.ts'
import { formatCount } from './units.ts'

/** A reason for which rows were rejected, as people read it. */
export function reasonLine({
  code,
  column,
  constraint,
  stage,
  rows,
  record,
  line,
}: RejectReason): string {
  const of = [
    ...(column === null ? [] : [`column ${column}`]),
    ...(constraint === null ? [] : [`constraint ${constraint}`]),
    ...(stage === null ? [] : [`stage ${stage}`]),
  ]
  const what = [code, ...of].join(', ')
  return `  ${formatCount(rows)} x ${what}: the first is record ${String(record)} (line ${String(line)})`
}
