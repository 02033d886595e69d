import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../../../src/core/errors.ts'
import { detectDialect, detectLineEnd } from '../../../../src/source/csv/detect.ts'
import { defaultDialect } from '../../../../src/source/csv/dialect.ts'
import type { CsvEngine, Scan } from '../../../../src/source/csv/engine.ts'
import { fastEngine } from '../../../../src/source/csv/fast-engine.ts'
import { generalEngine } from '../../../../src/source/csv/general-engine.ts'
import {
  corporaFolder,
  csvFiles,
  csvOracle,
  pollockFiles,
  readWithoutBom,
  rowsOf,
} from '../../../helpers/corpora.ts'

type Row = (string | null)[]

/** What an engine makes of a file; `ragged` has records of another length, and no other fault. */
interface Outcome {
  readonly kind: 'rows' | 'ragged' | 'bad' | 'refused'
  readonly scan: Scan | null
  readonly rows: Row[]
  /** Place of each bad record. */
  readonly bad: number[][]
}

function read(engine: CsvEngine, bytes: Buffer, encoding: 'latin1' | 'utf8'): Outcome {
  try {
    const scan = engine.scan(bytes, true)
    const { fields, bad } = engine.index(bytes, 0, 0)
    const isRagged = bad.every(({ reason }) => /^has \d+ fields?, expected/.test(reason))
    return {
      kind: bad.length === 0 ? 'rows' : isRagged ? 'ragged' : 'bad',
      scan,
      rows: rowsOf(fields, encoding),
      bad: bad.map(({ record, byte }) => [record, byte]),
    }
  } catch (error) {
    if (error instanceof MillraceError) return { kind: 'refused', scan: null, rows: [], bad: [] }
    throw error
  }
}

function dialectOf(bytes: Buffer, delimiter: string) {
  const dialect = { ...defaultDialect, delimiter, header: false }
  return { ...dialect, lineEnd: detectLineEnd(bytes, dialect, true) ?? ('lf' as const) }
}

describe.runIf(corporaFolder() === null)('corpora that are not here', () => {
  test('no corpora folder was found, so the tests over the corpora are skipped', () => {
    console.log('corpora: skipped; set MILLRACE_CORPORA to a folder of corpora')
  })
})

describe.skipIf(corporaFolder() === null)('corpora', () => {
  test('both engines read the same records from every file that both accept', () => {
    const counts = { rows: 0, ragged: 0, bad: 0, refused: 0 }
    for (const file of csvFiles()) {
      const bytes = readWithoutBom(file.path)
      const dialect = dialectOf(bytes, file.delimiter)
      const general = read(generalEngine(dialect), bytes, 'latin1')
      const fast = read(fastEngine(dialect), bytes, 'latin1')
      counts[general.kind]++
      if (general.kind === 'rows' || general.kind === 'ragged') {
        expect(fast, file.name).toEqual(general)
      } else if (general.kind === 'refused') expect(fast.kind, file.name).toBe('refused')
      else expect(fast.scan, file.name).toEqual(general.scan)
    }
    console.log(`corpora: ${String(csvFiles().length)} files, general engine:`, counts)
    expect(counts.rows).toBeGreaterThanOrEqual(csvFiles().length * 0.4)
  }, 60_000)

  test('the general engine reads what Python reads from every file that both accept', () => {
    let files = 0
    for (const { path, name, rfc4180, utf8 } of csvOracle()) {
      const bytes = readWithoutBom(path)
      const general = read(generalEngine(dialectOf(bytes, ',')), bytes, 'utf8')
      if (rfc4180.status !== 'ok' || !utf8 || general.kind !== 'rows') continue
      files++
      expect(sha256(pythonJson(general.rows)), name).toBe(rfc4180.records_sha256)
    }
    console.log(`corpora: ${String(files)} files as Python reads them`)
    expect(files).toBeGreaterThanOrEqual(csvOracle().length * 0.4)
  }, 60_000)

  test('the general engine reads as many rows as PostgreSQL from every file that both accept', () => {
    let files = 0
    for (const { path, name, postgres15_copy_csv_nohdr: copy } of csvOracle()) {
      if (copy.status !== 'ok') continue
      const bytes = readWithoutBom(path)
      const general = read(generalEngine(dialectOf(bytes, ',')), bytes, 'latin1')
      if (general.kind !== 'rows') {
        // PostgreSQL drops stray quotes, this engine refuses the record: the only difference there may be.
        expect(general.kind, name).toBe('bad')
        continue
      }
      files++
      expect(general.rows.length, name).toBe(copy.rows)
    }
    console.log(`corpora: ${String(files)} files with as many rows as in PostgreSQL`)
    expect(files).toBeGreaterThanOrEqual(csvOracle().length * 0.4)
  }, 60_000)

  test('a detected dialect is what the pollock corpus says of nearly every file', () => {
    const wrong: string[] = []
    const files = pollockFiles()
    for (const file of files) {
      const { dialect } = detectDialect(readWithoutBom(file.path))
      const isRight =
        dialect.delimiter === file.delimiter && dialect.header === file.header_lines > 0
      if (!isRight) wrong.push(file.name)
    }
    const right = files.length - wrong.length
    console.log(`pollock: ${String(right)} of ${String(files.length)} right, not:`, wrong)
    expect(right).toBeGreaterThanOrEqual(files.length * 0.95)
  })
})

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The rows as Python's json.dumps writes them; Python knows no NULL and takes a blank line for a row of no fields. */
function pythonJson(rows: Row[]): string {
  const isBlank = (row: Row): boolean => row.length === 1 && row[0] === null
  return JSON.stringify(rows.map((row) => (isBlank(row) ? [] : row.map((field) => field ?? ''))))
}
