import { isUtf8 } from 'node:buffer'
import type { KeptReject } from '../../checkpoint/kept-rejects.ts'

/** The fields of an exported reject before its bytes, in their order. */
export const EXPORT_FIELDS = [
  'id',
  'job',
  'input',
  'record',
  'line',
  'byte',
  'column',
  'code',
  'constraint',
  'message',
  'stage',
  'rejected_at',
] as const

export type ExportField = (typeof EXPORT_FIELDS)[number]

/** Those that are always there. */
export function isRequired(field: ExportField): boolean {
  return field !== 'column' && field !== 'constraint' && field !== 'stage'
}

/** A reject without its bytes, in the order of the fields; `rejected_at` in ISO 8601. */
export function exportValues(reject: KeptReject): Record<ExportField, string | number | null> {
  const { id, job, input, record, line, byte, column, code, constraint, message, stage } = reject
  const place = { id, job, input, record, line, byte }
  const rejected_at = reject.rejectedAt.toISOString()
  return { ...place, column, code, constraint, message, stage, rejected_at }
}

/** The bytes as text where that can hold them and PostgreSQL could keep it, else in base64. */
export function rawText(raw: Uint8Array): { raw: string } | { raw_base64: string } {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.length)
  return isUtf8(bytes) && !bytes.includes(0)
    ? { raw: bytes.toString() }
    : { raw_base64: bytes.toString('base64') }
}
