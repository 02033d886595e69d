import type { Readable } from 'node:stream'
import { inferTypes, type InferredColumn, sqlType, widenColumn } from '../copy/infer-types.ts'
import { parseTableName } from '../core/identifier.ts'
import type { CsvDialect } from '../source/csv/dialect.ts'
import { cut } from '../source/csv/cut.ts'
import { openInput } from '../source/open.ts'
import { createTableSql } from '../target/create-table.ts'
import { BufferPool } from './lanes/buffer-pool.ts'
import { columnNames, fieldText, readStart } from './input/header.ts'
import { indexRange } from './lanes/index-range.ts'
import { tableNameOf } from './job/plan.ts'

export interface InspectOptions {
  readonly input: string | Readable
  readonly table?: string | undefined
  readonly dialect?: Partial<CsvDialect> | undefined
}

/** What an input is, as far as its start tells. */
export interface Inspection {
  readonly source: string
  /** Bytes; null for a stream. */
  readonly size: number | null
  readonly dialect: CsvDialect
  readonly confident: boolean
  readonly reasons: readonly string[]
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** Whether the types were inferred from all of the input, as `load` does for a file. */
  readonly wholeInput: boolean
  /** Records that the types were inferred from. */
  readonly records: number
  readonly ddl: string
  /** The first rows, null for NULL. */
  readonly rows: readonly (readonly (string | null)[])[]
}

const SAMPLE_BYTES = 8 << 20
const MAX_RECORD = 16 << 20
const ROWS = 5

/**
 * Looks at an input without loading it.
 *
 * Shape:  types come from the first 8 MiB; `wholeInput` tells whether that was all.
 * Errors: as `load` for an input that cannot be read or has no sound first record.
 */
export async function inspect(options: InspectOptions): Promise<Inspection> {
  const opened = await openInput(options.input)
  try {
    const start = await readStart(opened, options.dialect ?? {}, MAX_RECORD)
    const { source, dialect, engine, data, fieldCount } = start
    const limits = { chunkSize: SAMPLE_BYTES, chunkRecords: Infinity, maxRecord: MAX_RECORD }
    const buffers = new BufferPool(SAMPLE_BYTES, 3)
    let columns: InferredColumn[] = Array.from({ length: fieldCount }, () => ({
      type: 'none',
      nulls: 0,
    }))
    const rows: (string | null)[][] = []
    let records = 0
    let end = data.byte
    for await (const piece of cut(source, engine, data, null, limits, buffers)) {
      const input = { source: source.name, dialect, fieldCount }
      const fields = indexRange(engine, input, piece)
      const inferred = inferTypes(fields)
      columns = columns.map((column, i) => widenColumn(column, inferred[i]!))
      for (let row = 0; row < Math.min(ROWS, fields.rowCount); row++) {
        rows.push(Array.from({ length: fieldCount }, (_, field) => fieldText(fields, row, field)))
      }
      records += fields.rowCount
      end = piece.range.end
      break
    }
    const names = columnNames(start)
    const defined = names.map((name, i) => ({ name, type: sqlType(columns[i]!.type) }))
    const { schema, table } = parseTableName(options.table ?? `"${tableNameOf(source.name)}"`)
    return {
      source: source.name,
      size: source.size,
      dialect,
      confident: start.confident,
      reasons: start.reasons,
      columns: defined,
      wholeInput: end === source.size,
      records,
      ddl: createTableSql({ schema: schema ?? 'public', table }, defined),
      rows,
    }
  } finally {
    await opened.close()
  }
}
