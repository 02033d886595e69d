import { spawnSync } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { csv, exportRejects, load, type LoadOptions } from '../../dist/index.js'
import { type Expected, MIXED_TABLE, mixedRows, readRejects } from '../helpers/bad-rows.ts'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const JOB = 'exported'
let input: string
let kept: readonly Expected[]

beforeAll(async () => {
  await db.query(MIXED_TABLE)
  // The last of each kind has bytes that are no text.
  const { bytes } = mixedRows(5600, (row) => row % 100 === 40)
  input = await dir.write('mixed.csv', bytes)
  await load({ input, to: db.url, table: 'mixed', job: JOB, maxErrors: '5%' })
  kept = await readRejects(db, JOB)
})

async function exported(name: string, more: { escapeFormulas?: boolean } = {}): Promise<string> {
  const output = dir.path(name)
  expect(await exportRejects({ to: db.url, job: JOB, output, ...more })).toEqual({
    rejects: kept.length,
  })
  expect((await stat(output)).mode & 0o777).toBe(0o600)
  return output
}

interface Line {
  readonly [field: string]: unknown
  readonly raw?: string | null
  readonly raw_base64?: string | null
}

function bytesOf({ raw, raw_base64: base64 }: Line): Buffer {
  return base64 == null ? Buffer.from(raw ?? '') : Buffer.from(base64, 'base64')
}

describe('an export', () => {
  test('as NDJSON has every reject, with its bytes', async () => {
    const text = await readFile(await exported('rejects.ndjson'), 'utf8')
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
    const found = lines.map(({ record, line, byte, column, code, constraint, ...rest }) => {
      return { record, line, byte, raw: bytesOf(rest), code, column, constraint }
    })
    expect(found).toEqual(kept)
    expect(Object.keys(lines[0]!)).toEqual([
      ...[
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
      ],
      ...['stage', 'rejected_at', 'raw'],
    ])
    expect(lines[0]).toMatchObject({ job: JOB, input, stage: null })
    expect(lines.some((line) => line.raw_base64 !== undefined)).toBe(true)
  })

  test('as CSV has every reject, with its bytes', async () => {
    const found: object[] = []
    for await (const chunk of csv(await exported('rejects.csv')).chunks()) {
      for (const row of (chunk as { rows(): Iterable<Line> }).rows()) {
        const { record, line, byte, column, code, constraint } = row
        const place = { record: Number(record), line: Number(line), byte: Number(byte) }
        found.push({ ...place, raw: bytesOf(row), code, column, constraint })
      }
    }
    expect(found).toEqual(kept)
  })

  test('as Parquet has every reject, with its bytes', async () => {
    const { default: parquet } = await import('parquetjs-lite')
    const reader = await parquet.ParquetReader.openFile(await exported('rejects.parquet'))
    const cursor = reader.getCursor()
    const found: object[] = []
    for (let row = await cursor.next(); row !== null; row = await cursor.next()) {
      const { record, line, byte, raw, column, code, constraint, job, rejected_at } = row
      expect({ job, rejected_at }).toEqual({
        job: JOB,
        rejected_at: expect.stringMatching(/Z$/) as string,
      })
      const place = { record: Number(record), line: Number(line), byte: Number(byte) }
      found.push({ ...place, raw, code, column: column ?? null, constraint: constraint ?? null })
    }
    await reader.close()
    expect(found).toEqual(kept)
  })

  test.each(['empty.ndjson', 'empty.csv', 'empty.parquet'])(
    'of nothing is a file too: %s',
    async (name) => {
      const output = dir.path(name)
      expect(await exportRejects({ to: db.url, reason: 'none', output })).toEqual({ rejects: 0 })
      const { length } = await readFile(output)
      expect(length > 0).toBe(name !== 'empty.ndjson')
    },
  )

  test('for a spreadsheet has no formulas', async () => {
    await db.query('create table formulas (a int, b text)')
    const lines = ['=1+2', '+1', '-1', '@a', 'plain'].map((text) => `${text},x\n`)
    const options = { to: db.url, table: 'formulas', job: 'formulas', maxErrors: '100%' } as const
    await load({ ...options, input: await dir.write('formulas.csv', `a,b\n${lines.join('')}`) })
    const output = dir.path('formulas-out.csv')
    const escape = { to: db.url, job: 'formulas', output, escapeFormulas: true }
    await exportRejects(escape)
    const text = await readFile(output, 'utf8')
    for (const raw of [`"'=1+2,x"`, `"'@a,x"`, `"plain,x"`]) expect(text).toContain(raw)
    await expect(exportRejects({ ...escape, output: dir.path('x.ndjson') })).rejects.toMatchObject({
      code: 'CONFIG_BAD_VALUE',
    })
  })

  test('that finds no room leaves nothing behind, and what was there before', async () => {
    const output = await exported('full.ndjson')
    const before = await readFile(output)
    const bin = fileURLToPath(new URL('../../src/cli/bin.mjs', import.meta.url))
    const command = `ulimit -f 4; exec "$0" "$@"`
    const args = ['rejects', 'export', JOB, '--output', output, '--to', db.url]
    const run = spawnSync('sh', ['-c', command, process.execPath, bin, ...args], {
      encoding: 'utf8',
    })
    expect(run.status, run.stderr).toBe(1)
    expect(run.stderr).toContain('REJECTS_NOT_WRITTEN')
    expect(await readFile(output)).toEqual(before)
    const beside = await readdir(dirname(output))
    expect(beside.filter((name) => name.startsWith('.full'))).toEqual([])
  })
})

describe('a load with --rejects', () => {
  async function failureOf(options: LoadOptions): Promise<unknown> {
    return load(options).then(
      () => null,
      (error: unknown) => error,
    )
  }

  test('writes them at its end, also where there are too many', async () => {
    const options = { input, to: db.url, table: 'mixed', job: 'too many' } as const
    await db.query('truncate mixed; insert into mixed (id, price) values (0, 0)')
    const rejects = dir.path('many.ndjson')
    expect(await failureOf({ ...options, rejects, maxErrors: 20 })).toMatchObject({
      code: 'REJECTED_TOO_MANY',
    })
    const first = (await readFile(rejects, 'utf8')).trimEnd().split('\n').length
    expect(first).toBe((await readRejects(db, 'too many')).length)
    const run = await runCli([
      ...['load', input, '--to', db.url, '--table', 'mixed', '--job', 'too many'],
      ...['--max-errors', '5%', '--rejects', rejects],
    ])
    expect(run.code, run.stderr).toBe(0)
    expect((await readFile(rejects, 'utf8')).trimEnd().split('\n')).toHaveLength(kept.length)
  })

  test.each([
    ['rejects.txt', 'CONFIG_BAD_VALUE'],
    ['no/such/dir/rejects.csv', 'REJECTS_NOT_WRITTEN'],
  ])('into %s is refused before anything is loaded', async (name, code) => {
    const options = { input, to: db.url, table: 'mixed', job: 'unwritten', rejects: dir.path(name) }
    expect(await failureOf(options)).toMatchObject({ code })
    expect(await db.value(`select count(*)::int from millrace.job where key = 'unwritten'`)).toBe(0)
  })
})

describe('the list of rejects', () => {
  test('names reasons with an example, without what a terminal would obey', async () => {
    await db.query('create table listed (a int)')
    const text = 'a\n\u001b[31mred\n2\n'
    const args = ['load', await dir.write('listed.csv', text), '--to', db.url, '--job', 'listed']
    const run = await runCli([...args, '--table', 'listed', '--max-errors', '100%'])
    expect(run.code, run.stderr).toBe(0)
    const list = await runCli(['rejects', 'list', 'listed', '--to', db.url])
    expect(list.stdout).toContain('22P02, column a')
    expect(list.stdout).toContain('\\u001b[31mred')
    expect(list.stdout).not.toContain('\u001b')
    const json = await runCli([
      'rejects',
      'list',
      JOB,
      '--reason',
      '23505',
      '--json',
      '--to',
      db.url,
    ])
    expect(JSON.parse(json.stdout)).toMatchObject([
      {
        job: JOB,
        code: '23505',
        constraint: 'mixed_pkey',
        rows: 4,
        input,
        record: 1042,
        line: 1063,
      },
    ])
  })
})
