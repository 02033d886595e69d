import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Fields } from '../../src/chunk/fields.ts'
import { unquote } from '../../src/chunk/unquote.ts'

/** What Python's csv module, in strict mode, makes of a file. */
export interface PythonVerdict {
  readonly status: 'ok' | 'error'
  readonly records?: number
  readonly min_fields?: number
  readonly max_fields?: number
  /** Of the rows as JSON, without spaces and with every character as it is. */
  readonly records_sha256?: string
  readonly error?: string
}

/** What PostgreSQL's COPY, CSV format, all columns text and no header, makes of a file. */
export interface CopyVerdict {
  readonly status: 'ok' | 'error'
  readonly columns?: number
  readonly rows?: number
  readonly delimiter?: 'comma' | 'tab'
  /** Of what COPY TO writes with FORCE_QUOTE * once the file is loaded. */
  readonly copy_to_forcequote_sha256?: string
  readonly error?: string
  readonly context?: string
}

/** A CSV file that nobody of this project wrote, and what others make of it. */
export interface OracleFile {
  /** Where it is; `name` is the path within the corpora. */
  readonly path: string
  readonly name: string
  readonly bytes: number
  readonly sha256: string
  readonly bom: boolean
  readonly nul: boolean
  readonly crlf: number
  readonly lf: number
  readonly cr: number
  readonly ends_nl: boolean
  readonly utf8: boolean
  readonly rfc4180: PythonVerdict
  readonly postgres15_copy_csv_nohdr: CopyVerdict
}

/** A file of the corpora that may hold records; `oracle` is null where there is no expected result. */
export interface CorpusFile {
  readonly path: string
  readonly name: string
  readonly delimiter: ',' | '\t'
  readonly oracle: OracleFile | null
}

const csvLike = new Set(['.csv', '.tsv', '.psv', '.txt', '.data', '.dat', '.tbl', '.bad'])

/** The folder of the corpora, from MILLRACE_CORPORA or beside the repository; null when there is none. */
export function corporaFolder(): string | null {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const folder = process.env['MILLRACE_CORPORA'] ?? resolve(root, '../shared/corpora')
  return existsSync(folder) ? folder : null
}

/**
 * Every CSV file with an expected result; none when there are no corpora.
 *
 * Shape: the PostgreSQL result of a .tsv file is of no use: its columns were counted by commas, and Python read it
 *        with commas too.
 */
export function csvOracle(): OracleFile[] {
  const folder = corporaFolder()
  if (folder === null) return []
  return readdirSync(folder).flatMap((corpus) => {
    const oracle = join(folder, corpus, '_oracle', 'csv_oracle.ndjson')
    if (!existsSync(oracle)) return []
    const lines = readFileSync(oracle, 'utf8').split('\n')
    return lines.filter(Boolean).map((line) => {
      const entry = JSON.parse(line) as OracleFile & { file: string }
      const name = join(corpus, entry.file)
      return { ...entry, name, path: join(folder, name) }
    })
  })
}

/** Every file that may be CSV, with its expected result if it has one. */
export function csvFiles(): CorpusFile[] {
  const folder = corporaFolder()
  if (folder === null) return []
  const oracles = new Map(csvOracle().map((oracle) => [oracle.name, oracle]))
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((name) => name.includes(sep) && !name.includes('_oracle'))
    .filter((name) => oracles.has(name) || csvLike.has(extname(name).toLowerCase()))
    .sort()
  return names.map((name) => ({
    name,
    path: join(folder, name),
    delimiter: extname(name).toLowerCase() === '.tsv' ? '\t' : ',',
    oracle: oracles.get(name) ?? null,
  }))
}

/** The bytes of a file without its UTF-8 byte order mark. */
export function readWithoutBom(path: string): Buffer {
  const bytes = readFileSync(path)
  const hasBom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  return hasBom ? bytes.subarray(3) : bytes
}

/** How a file of the pollock corpus is really written. */
export interface PollockFile {
  readonly name: string
  readonly path: string
  readonly delimiter: string
  readonly quotechar: string
  readonly header_lines: number
  readonly preamble_lines: number
}

/** The files of the pollock corpus with their parameters. */
export function pollockFiles(): PollockFile[] {
  const folder = join(corporaFolder() ?? '', 'pollock')
  if (!existsSync(join(folder, 'parameters'))) return []
  return readdirSync(join(folder, 'parameters')).map((file) => {
    const parameters = readFileSync(join(folder, 'parameters', file), 'utf8')
    const name = file.replace('_parameters.json', '')
    return {
      ...(JSON.parse(parameters) as PollockFile),
      name,
      path: join(folder, 'csv', name),
    }
  })
}

/** The rows of a chunk, NULL as null. With latin1 every character is a byte. */
export function rowsOf(fields: Fields, encoding: 'latin1' | 'utf8' = 'utf8'): (string | null)[][] {
  const { rowCount, fieldCount } = fields
  return Array.from({ length: rowCount }, (_, row) =>
    Array.from({ length: fieldCount }, (_, field) =>
      fieldOf(fields, 2 * (row * fieldCount + field), encoding),
    ),
  )
}

function fieldOf(fields: Fields, k: number, encoding: BufferEncoding): string | null {
  const { bytes, offsets, quote } = fields
  const [from, to] = [offsets[k]!, offsets[k + 1]!]
  if (from < 0) return null
  if (to >= 0) return bytes.toString(encoding, from, to)
  const out = Buffer.alloc(~to - from)
  return out.toString(encoding, 0, unquote(bytes, from, ~to, quote, out, 0))
}
