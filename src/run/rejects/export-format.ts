import { extname } from 'node:path'
import type { KeptReject } from '../../checkpoint/kept-rejects.ts'
import { ConfigError } from '../../core/errors.ts'
import { EXPORT_FIELDS, exportValues, rawText } from './export-fields.ts'
import { parquetEncoder } from './parquet-encoder.ts'

/** Makes the bytes of a file of rejects, some at a time. */
export interface RejectEncoder {
  rows(rejects: readonly KeptReject[]): Promise<Buffer> | Buffer
  /** What comes behind the last rows, and before the first where there were none. */
  end(): Promise<Buffer> | Buffer
}

export interface ExportOptions {
  /** CSV for a spreadsheet, not for a replay: a quote before what it would take for a formula. */
  readonly escapeFormulas?: boolean | undefined
}

type Format = (options: ExportOptions) => Promise<RejectEncoder>

const FORMATS: Readonly<Record<string, Format>> = {
  '.ndjson': () => Promise.resolve(ndjsonEncoder),
  '.csv': csvEncoder,
  '.parquet': parquetEncoder,
}

/** The format of a file of rejects, by its name. Errors: CONFIG_BAD_VALUE. */
export function exportFormat(path: string, options: ExportOptions = {}): Format {
  const extension = extname(path).toLowerCase()
  const format = Object.hasOwn(FORMATS, extension) ? FORMATS[extension] : undefined
  if (format === undefined) {
    const known = Object.keys(FORMATS).join(', ')
    const message = `${path} names no format that rejects can be written in, expected one of ${known}`
    throw new ConfigError('CONFIG_BAD_VALUE', message, { hint: 'as in --rejects rejects.ndjson' })
  }
  if (options.escapeFormulas === true && extension !== '.csv') {
    const message = `--escape-formulas is for CSV, and ${path} is none`
    throw new ConfigError('CONFIG_BAD_VALUE', message)
  }
  return format
}

const ndjsonEncoder: RejectEncoder = {
  rows(rejects) {
    const lines = rejects.map((reject) =>
      JSON.stringify({ ...exportValues(reject), ...rawText(reject.raw) }),
    )
    return Buffer.from(lines.map((line) => `${line}\n`).join(''))
  },
  end: () => Buffer.alloc(0),
}

async function csvEncoder({ escapeFormulas = false }: ExportOptions): Promise<RejectEncoder> {
  const { stringify } = await import('csv-stringify/sync')
  const columns = [...EXPORT_FIELDS, 'raw', 'raw_base64']
  let header = true
  const encode = (rejects: readonly KeptReject[]): Buffer => {
    const rows = rejects.map((reject) => ({ ...exportValues(reject), ...rawText(reject.raw) }))
    // https://owasp.org/www-community/attacks/CSV_Injection
    const text = stringify(rows, { columns, header, escape_formulas: escapeFormulas })
    header = false
    return Buffer.from(text)
  }
  return { rows: encode, end: () => (header ? encode([]) : Buffer.alloc(0)) }
}
