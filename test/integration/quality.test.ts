import { appendFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import {
  filter,
  load,
  type LoadOptions,
  type MillraceError,
  type Progress,
  quality,
  type QualityError,
} from '../../dist/index.js'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { type Duplicates, duplicateRows } from '../helpers/duplicates.ts'
import { killBehind } from '../helpers/kills.ts'
import { runLoad, startLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

/** What a load has failed with. */
async function failureOf(loading: Promise<unknown>): Promise<MillraceError> {
  const error = await loading.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Error)
  return error as MillraceError
}

/** Rows n, k, fare and at; some k and fare are NULL. */
function trips(rows: number, seed: number): string {
  const { csv } = duplicateRows(rows, seed)
  const lines = csv.split('\n').slice(1, -1)
  const made = lines.map((line, i) => {
    const [n = '', k = ''] = line.split(',')
    const fare = i % 97 === 0 ? '' : (((i * 7919) % 100_003) / 100 - 200).toFixed(2)
    return `${n},${k},${fare},2024-01-${String(1 + (i % 28)).padStart(2, '0')} 10:00:00\n`
  })
  return `n,k,fare,at\n${made.join('')}`
}

/** What PostgreSQL says of a table: each rule is broken by one step, so that the figures must be the same. */
async function rulesOf(table: string) {
  const [row] = await db.query<
    Record<'rows' | 'nulls' | 'sum' | 'least' | 'most' | 'keys', string>
  >(
    `select count(*)::text as rows, count(*) filter (where fare is null)::text as nulls, sum(fare)::text as sum,
            min(fare)::text as least, max(fare)::text as most,
            (count(k) - count(distinct k))::text as keys from ${table}`,
  )
  return row!
}

const RULES = quality({
  rows: { max: 0 },
  nulls: { fare: 0 },
  sum: { fare: { max: '-1e9' } },
  min: { fare: 1000 },
  max: { fare: -1000 },
  unique: ['k'],
  fresh: { at: '1d' },
})

/** Expects that the figures of a failed load are those of its table. */
async function expectFigures(error: MillraceError, table: string): Promise<void> {
  expect(error).toMatchObject({ name: 'QualityError', code: 'QUALITY_FAILED' })
  const facts = await rulesOf(table)
  const got = Object.fromEntries((error as QualityError).broken.map((one) => [one.rule, one.got]))
  expect(got).toEqual({
    rows: facts.rows,
    'nulls(fare)': expect.stringContaining(`${facts.nulls} of ${facts.rows} rows`) as string,
    'sum(fare)': String(facts.sum).replace(/\.?0+$/, ''),
    'min(fare)': 'a value below',
    'max(fare)': 'a value above',
    'unique(k)': `${facts.keys} duplicates`,
    'fresh(at)': 'older',
  })
}

describe('quality of a job', () => {
  test.each([
    ['one lane', 1, 8 << 20, []],
    ['four threads and small chunks', 4, 8192, []],
    ['three lanes of the caller', 3, 20_000, [filter(() => true)]],
  ])('has the figures of its table: %s', async (_, lanes, chunkSize, more) => {
    const table = `figures_${String(lanes)}`
    const input = await dir.write(`${table}.csv`, trips(20_000, 3))
    const options = { input, to: db.url, table, lanes, chunkSize, stages: [...more, RULES] }
    await expectFigures(await failureOf(load(options)), table)
    // Judged again without loading, and the same.
    await expectFigures(await failureOf(load(options)), table)
    expect(await db.value(`select count(*)::int from ${table}`)).toBe(20_000)
  })

  test('is judged again with other bounds, completes the job then, and is not judged any more', async () => {
    const input = await dir.write('bounds.csv', trips(5_000, 4))
    const options = { input, to: db.url, table: 'bounds', lanes: 2, chunkSize: 16_384 }
    const error = await failureOf(
      load({ maxErrors: 0, ...options, stages: [quality({ min: { fare: 0 } })] }),
    )
    expect(error.message).toBe(
      '1 quality rule is broken: min(fare) is a value below, expected at least 0',
    )
    expect(error.hint).toContain('the rows are in the table')
    const status = `select r.status, r.error from millrace.run r join millrace.job j on j.id = r.job
       where j.key like '%bounds.csv%' order by r.id desc limit 1`
    expect(await db.query(status)).toEqual([{ status: 'failed', error: 'QUALITY_FAILED' }])
    const summary = await load({
      maxErrors: 0,
      ...options,
      stages: [quality({ min: { fare: -500 } })],
    })
    expect(summary).toMatchObject({ status: 'complete', chunks: 0 })
    expect(summary.quality).toEqual([
      { rule: 'min(fare)', expected: 'at least -500', got: 'no value beyond', passed: true },
    ])
    const again = await load({ maxErrors: 0, ...options, stages: [quality({ min: { fare: 0 } })] })
    expect(again).toMatchObject({ status: 'already-complete', quality: [] })
    const other = load({ maxErrors: 0, ...options, stages: [quality({ max: { fare: 0 } })] })
    expect(await failureOf(other)).toMatchObject({ code: 'CHECKPOINT_OPTIONS_CHANGED' })
  })

  test('only warns where that is asked for, and is told in summary and progress', async () => {
    const input = await dir.write('warn.csv', trips(2_000, 5))
    const warnings: string[] = []
    let last: Progress | null = null
    const ignore = (): void => undefined
    const warn = (_: unknown, message?: string): void => void warnings.push(message ?? '')
    const options: LoadOptions = {
      ...{ input, to: db.url, table: 'warned' },
      stages: [quality({ rows: { min: 2_001 }, nulls: { fare: 0.02 } }, { onFailure: 'warn' })],
      log: { debug: ignore, info: ignore, error: ignore, warn },
      onProgress: (progress) => (last = progress),
    }
    const summary = await load(options)
    expect(summary.status).toBe('complete')
    expect(warnings).toEqual(['quality: rows is 2000, expected at least 2001'])
    expect(summary.quality.map(({ passed }) => passed)).toEqual([false, true])
    expect(last!.quality).toEqual(summary.quality)
  })

  test('is that of all runs, the appended rows with it', async () => {
    const rows = trips(20_000, 6)
    const lines = rows.split('\n')
    const input = await dir.write('grown.csv', `${lines.slice(0, 12_001).join('\n')}\n`)
    const options = { input, to: db.url, table: 'grown', lanes: 3, chunkSize: 16_384 }
    const loose = quality({
      rows: { min: 1 },
      nulls: { fare: 1 },
      sum: { fare: {} },
      min: { fare: -1000 },
      max: { fare: 1000 },
      unique: ['k'],
      fresh: { at: '5000d' },
    })
    await failureOf(load({ maxErrors: 0, ...options, stages: [loose] })) // unique is broken already
    await appendFile(input, lines.slice(12_001).join('\n'))
    await expectFigures(
      await failureOf(
        load({ maxErrors: 0, ...options, lanes: 2, stages: [RULES], resume: 'appended' }),
      ),
      'grown',
    )
    expect(await db.value('select count(*)::int from grown')).toBe(20_000)
  })

  test('judges an input without rows', async () => {
    await db.query('create table empty_one (n int, fare numeric)')
    const input = await dir.write('empty.csv', 'n,fare\n')
    const stages = [quality({ rows: { min: 1 }, nulls: { fare: 0 } })]
    expect(
      await failureOf(load({ maxErrors: 0, input, to: db.url, table: 'empty_one', stages })),
    ).toMatchObject({
      code: 'QUALITY_FAILED',
      message: '1 quality rule is broken: rows is 0, expected at least 1',
    })
  })

  test('judges a stream', async () => {
    const input = Readable.from([Buffer.from(trips(3_000, 7))])
    const loading = load({
      maxErrors: 0,
      input,
      to: db.url,
      table: 'streamed',
      stages: [RULES],
      chunkSize: 8192,
    })
    await expectFigures(await failureOf(loading), 'streamed')
  })
})

describe('quality of a job that is killed', () => {
  const rows = 50_000

  test.each([1, 3])('has the figures of its table: %i lanes', async (lanes) => {
    const seed = Number(process.env['MILLRACE_FAULT_SEED'] ?? Math.floor(Math.random() * 1e6))
    const table = `killed_${String(lanes)}`
    const input = await dir.write(`${table}.csv`, trips(rows, seed))
    const stages = await dir.write(
      `${table}.ts`,
      `import { quality } from 'millrace'
       export default quality({ rows: { max: 0 }, nulls: { fare: 0 }, sum: { fare: { max: '-1e9' } },
         min: { fare: 1000 }, max: { fare: -1000 }, unique: ['k'], fresh: { at: '1d' } })`,
    )
    const args = [input, '--table', table, '--job', table, '--stage', stages]
    args.push('--lanes', String(lanes), '--chunk-size', '16KiB')
    for (const share of [0, 0.3]) await killBehind(db, table, share * rows, startLoad(db, args))
    const { code: exitCode, report, stderr } = await runLoad(db, args)
    expect(exitCode, stderr).toBe(3)
    const { code, quality: broken } = report.error as unknown as { code: string; quality: [] }
    await expectFigures({ name: 'QualityError', code, broken } as never, table)
    expect(await db.value(`select count(*)::int from ${table}`), String(seed)).toBe(rows)
  })
})

describe('quality on the command line', () => {
  const made: Duplicates = duplicateRows(100, 1)

  test('ends with 3 and names each broken rule, on the terminal and as JSON', async () => {
    const input = await dir.write('cli.csv', made.csv)
    const module = await dir.write(
      'cli.ts',
      "import { quality } from 'millrace'\nexport default quality({ rows: { min: 1000 }, nulls: { k: 1 }, unique: ['k'] })",
    )
    const args = ['load', input, '--to', db.url, '--table', 'cli', '--stage', module]
    const run = await runCli(args)
    expect(run.code, run.stderr).toBe(3)
    expect(run.stderr).toMatch(
      /error: 2 quality rules are broken: rows is 100, .*; unique\(k\) is \d+ dup/,
    )
    expect(run.stderr).toContain('[QUALITY_FAILED]')
    const json = await runCli([...args, '--json'])
    expect(json.code).toBe(3)
    expect(JSON.parse(json.stdout)).toMatchObject({
      status: 'failed',
      error: {
        code: 'QUALITY_FAILED',
        quality: [{ rule: 'rows', got: '100' }, { rule: 'unique(k)' }],
      },
    })
  })

  test('has a line for each rule that is only a warning', async () => {
    const input = await dir.write('cliwarn.csv', made.csv)
    const module = await dir.write(
      'cliwarn.ts',
      "import { quality } from 'millrace'\nexport default quality({ rows: { min: 1000 } }, { onFailure: 'warn' })",
    )
    const run = await runCli([
      'load',
      input,
      '--to',
      db.url,
      '--table',
      'cliwarn',
      '--stage',
      module,
    ])
    expect(run.code, run.stderr).toBe(0)
    expect(run.stdout).toContain('\nquality: rows is 100, expected at least 1000\n')
  })
})
