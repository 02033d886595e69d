import { isUtf8 } from 'node:buffer'
import type { Fields } from '../../chunk/fields.ts'
import type { Position } from '../../chunk/range.ts'
import { unquote } from '../../chunk/unquote.ts'
import { SourceError } from '../../core/errors.ts'
import type { ByteSource } from '../../source/bytes/byte-source.ts'
import { detectDialect } from '../../source/csv/detect.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'
import { recordNumber, type RecordStart } from '../../source/csv/locate.ts'
import { selectEngine } from '../../source/csv/select-engine.ts'

/** How many fields records have, and what they are called. */
export interface FieldNames {
  /** From the header; null for an input without one. */
  readonly names: readonly string[] | null
  /** 0 for an input without any record. */
  readonly fieldCount: number
}

/** What the start of a CSV input tells. */
export interface CsvStart extends FieldNames {
  readonly source: ByteSource
  readonly dialect: CsvDialect
  readonly engine: CsvEngine
  /** Why it was taken, in sentences. */
  readonly reasons: readonly string[]
  readonly confident: boolean
  /** Where the data begins. */
  readonly data: Position
}

const SAMPLE_BYTES = 65536
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * Reads the start of a CSV input: byte order mark, dialect, header.
 *
 * Errors: SOURCE_BAD_HEADER when the first record is not UTF-8 or longer than `maxRecord`.
 */
export async function readStart(
  opened: ByteSource,
  given: Partial<CsvDialect>,
  maxRecord: number,
): Promise<CsvStart> {
  let head = await readHead(opened, Buffer.alloc(0), SAMPLE_BYTES)
  const bom = head.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0
  const { dialect, reasons, confident } = detectDialect(head.subarray(bom), given)
  const engine = await selectEngine(dialect)
  let wanted = SAMPLE_BYTES
  let end = endOfFirst(engine, head.subarray(bom), head.length === wanted)
  while (end === null) {
    if (wanted > maxRecord) throw badHeader(opened, `is longer than ${String(maxRecord)} bytes`)
    wanted *= 4
    head = await readHead(opened, head, wanted)
    end = endOfFirst(engine, head.subarray(bom), head.length === wanted)
  }

  const sample = head.subarray(bom)
  const fields = fieldsOf(opened, engine, sample.subarray(0, end.byte))
  const data = dialect.header
    ? { byte: bom + end.byte, record: end.record + 1, line: end.lines + 1 }
    : { byte: bom, record: 1, line: 1 }
  return {
    source: opened,
    dialect,
    engine,
    reasons,
    confident,
    names: dialect.header ? fields : null,
    fieldCount: fields.length,
    data,
  }
}

async function readHead(source: ByteSource, already: Buffer, length: number): Promise<Buffer> {
  const head = Buffer.alloc(length)
  already.copy(head)
  const from = already.length
  const read = await source.peek(head, from, length - from, from)
  return head.subarray(0, from + read)
}

/** Where the second record starts; null when that cannot be told without more bytes. */
function endOfFirst(engine: CsvEngine, bytes: Buffer, more: boolean): RecordStart | null {
  try {
    const second = recordNumber(engine, bytes, 1)
    return more && second.byte === bytes.length ? null : second
  } catch (error) {
    if (more && error instanceof SourceError) return null
    throw error
  }
}

function fieldsOf(source: ByteSource, engine: CsvEngine, record: Buffer): string[] {
  if (record.length === 0) return []
  if (!isUtf8(record)) throw badHeader(source, 'is not UTF-8')
  const { fields, bad } = engine.index(record, 0, 1)
  if (bad[0] !== undefined) throw badHeader(source, bad[0].reason)
  return fields.rowCount === 0
    ? []
    : Array.from({ length: fields.fieldCount }, (_, field) => fieldText(fields, 0, field) ?? '')
}

/** A field as a string; null for NULL. */
export function fieldText(fields: Fields, row: number, field: number): string | null {
  const k = (row * fields.fieldCount + field) * 2
  const from = fields.offsets[k]!
  const to = fields.offsets[k + 1]!
  if (from < 0) return null
  if (to >= 0) return fields.bytes.toString('utf8', from, to)
  const plain = Buffer.alloc(~to - from)
  return plain.toString('utf8', 0, unquote(fields.bytes, from, ~to, fields.quote, plain, 0))
}

function badHeader(source: ByteSource, what: string): SourceError {
  return new SourceError('SOURCE_BAD_HEADER', `${source.name}: the first record ${what}`, {
    where: { source: source.name, record: 1, line: 1, byte: 0 },
    hint: 'check --delimiter and --quote, and that the file is UTF-8 text',
  })
}

/** Names for the columns of a table to be made: those of the header, made distinct, none empty. */
export function columnNames(start: FieldNames): string[] {
  const names: string[] = []
  for (let i = 0; i < start.fieldCount; i++) {
    const wanted = start.names?.[i] ?? ''
    const base = wanted === '' ? `column_${String(i + 1)}` : wanted
    let name = base
    for (let n = 2; names.includes(name); n++) name = `${base}_${String(n)}`
    names.push(name)
  }
  return names
}
