import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Client } from 'pg'
import { from, to } from 'pg-copy-streams'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { load } from '../../dist/index.js'
import { asMessage, BlockPool } from '../../src/copy/block-pool.ts'
import { encodeChunk } from '../../src/copy/encode-chunk.ts'
import { Kind } from '../../src/copy/kinds.ts'
import { RowCursor, RowPlan } from '../../src/copy/rows.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { readStart } from '../../src/run/input/header.ts'
import { RangeReader } from '../../src/run/lanes/range-reader.ts'
import { StageList } from '../../src/stage/stage-list.ts'
import { cut } from '../../src/source/csv/cut.ts'
import { openInput } from '../../src/source/open.ts'
import { connect } from '../../src/target/connect.ts'
import { CopyIn } from '../../src/target/copy-in.ts'
import { corporaFolder, csvOracle, type OracleFile } from '../helpers/corpora.ts'
import { useDatabase } from '../helpers/database.ts'

const db = useDatabase()
const files = csvOracle()
const accepted = files.filter((file) => hashOf(file) !== undefined)
const refused = files.filter((file) => file.postgres15_copy_csv_nohdr.status === 'error')
const dialect = { header: false, delimiter: ',' } as const
const limits = { chunkSize: 20_000, chunkRecords: 1 << 20, maxRecord: 16 << 20 }
const buffers = {
  take: (length: number) => Promise.resolve(new ArrayBuffer(Math.max(length, limits.chunkSize))),
  give: () => undefined,
}
let client: Client

/**
 * Files that COPY refuses and Millrace loads: their columns were counted by tabs for the expected result, then they were
 * read with commas. With commas they have a single column.
 */
const oneColumn = new Set([
  'duckdb-csv/error/mismatch/example.tsv',
  'frictionless/table.tsv',
  'univocity/examples/bean_test.tsv',
  'univocity/examples/master_detail.tsv',
])

function hashOf(file: OracleFile): string | undefined {
  return file.postgres15_copy_csv_nohdr.copy_to_forcequote_sha256
}

beforeAll(async () => {
  client = await connect({ server: db.url, applicationName: 'oracle' })
})

afterAll(() => client.end())

function names(columns: number): string[] {
  return Array.from({ length: columns }, (_, i) => `c${String(i + 1)}`)
}

/** The place keeps the order of the file, which the pages of a table need not. */
async function makeTable(table: string, columns: number): Promise<void> {
  const list = names(columns).map((name) => `${name} text`)
  await client.query(`drop table if exists ${table}`)
  await client.query(`create table ${table} (${list.join(', ')}, place serial)`)
}

/** Takes a file the way a lane does, all of it in one transaction over one connection. */
async function loadHere(file: OracleFile): Promise<void> {
  const opened = await openInput(file.path)
  try {
    const start = await readStart(opened, dialect, limits.maxRecord)
    await makeTable('t', Math.max(1, start.fieldCount))
    const { engine } = start
    const input = { source: file.name, dialect: start.dialect, fieldCount: start.fieldCount }
    const plan = new RowPlan(
      Array.from({ length: start.fieldCount }, (_, field) => ({ slot: field, kind: Kind.text })),
    )
    const reader = new RangeReader({
      engine,
      input,
      stages: new StageList([], []),
      fields: [],
      plan,
    })
    const cursor = new RowCursor()
    const list = names(start.fieldCount).join(', ')
    await client.query('begin')
    for await (const piece of cut(opened, engine, start.data, null, limits, buffers)) {
      const rows = reader.read(piece, null)
      const pool = new BlockPool(1000)
      let copied = 0
      for await (const { format, block, begins, ends } of encodeChunk(rows, plan, cursor, pool)) {
        if (begins) {
          copy = new CopyIn(`copy t (${list}) from stdin (format ${format})`)
          await copy.begin(client)
        }
        await copy!.write(asMessage(block))
        if (ends) copied += await copy!.end()
        if (ends) copy = null
      }
      expect(copied, file.name).toBe(rows.count)
    }
    await client.query('commit')
  } catch (error) {
    await copy?.fail('the file is refused')
    copy = null
    await client.query('rollback')
    throw error
  } finally {
    await opened.close()
  }
}

let copy: CopyIn | null = null

/**
 * SHA-256 of what COPY TO writes of a table.
 *
 * Why: Millrace skips the byte order mark, which PostgreSQL takes for the first character of the first field.
 */
async function tableHash(table: string, file: OracleFile, mark: boolean): Promise<string> {
  const [first, ...rest] = names(file.postgres15_copy_csv_nohdr.columns ?? 0)
  const marked = `case when place = 1 then chr(65279) || coalesce(${first!}, '') else ${first!} end`
  const list = [mark ? marked : first, ...rest].join(', ')
  const hash = createHash('sha256')
  const stream = client.query(
    to(`copy (select ${list} from ${table} order by place) to stdout (format csv, force_quote *)`),
  )
  for await (const piece of stream) hash.update(piece as Buffer)
  return hash.digest('hex')
}

/** What the server itself makes of a file. */
async function hashByCopy(file: OracleFile): Promise<string> {
  const columns = file.postgres15_copy_csv_nohdr.columns ?? 0
  await makeTable('u', columns)
  const target = `u (${names(columns).join(', ')})`
  await pipeline(
    createReadStream(file.path),
    client.query(from(`copy ${target} from stdin (format csv)`)),
  )
  return tableHash('u', file, false)
}

/**
 * Compares table t with what COPY made of the file.
 *
 * Why: the expected hash has the rows in the order of the pages. Where a table has several, that need not be the order
 *      of the file, and the server at hand tells what its own COPY stores.
 */
async function compare(file: OracleFile): Promise<Likeness> {
  const here = await tableHash('t', file, file.bom)
  if (here === hashOf(file)) return 'as expected'
  const hasPages = file.bytes > 4000
  return hasPages && here === (await hashByCopy(file)) ? 'as COPY stores it here' : 'not alike'
}

type Likeness = 'as expected' | 'as COPY stores it here' | 'not alike'

describe.runIf(corporaFolder() === null)('corpora that are not here', () => {
  test('no corpora folder was found, so nothing is compared with PostgreSQL', () => {
    console.log('corpora: skipped; set MILLRACE_CORPORA to a folder of corpora')
  })
})

describe.skipIf(corporaFolder() === null)('the corpora', () => {
  test('are stored byte for byte as COPY stores them', async () => {
    const counts: Record<Likeness, number> = {
      'as expected': 0,
      'as COPY stores it here': 0,
      'not alike': 0,
    }
    const wrong: string[] = []
    for (const file of accepted) {
      try {
        await loadHere(file)
        const likeness = await compare(file)
        counts[likeness]++
        if (likeness === 'not alike') wrong.push(file.name)
      } catch (error) {
        wrong.push(`${file.name}: ${String(error)}`)
      }
    }
    console.log(`corpora: ${String(accepted.length)} files that COPY takes`, counts)
    expect(wrong).toEqual([])
    expect(counts['as expected']).toBeGreaterThan(accepted.length * 0.95)
  })

  test('are refused where COPY refuses them', async () => {
    const wrong: string[] = []
    for (const file of refused) {
      const result = await loadHere(file).then(
        () => 'loaded',
        (error: unknown) => (error instanceof MillraceError ? 'refused' : String(error)),
      )
      if ((result === 'refused') === oneColumn.has(file.name)) {
        wrong.push(
          `${file.name}: ${result}, COPY said ${file.postgres15_copy_csv_nohdr.error ?? ''} ${file.postgres15_copy_csv_nohdr.context ?? ''}`,
        )
      }
    }
    console.log(`corpora: ${String(refused.length)} files that COPY refuses`)
    expect(wrong).toEqual([])
  })

  test('are stored by load() as COPY stores them', async () => {
    const sample = accepted.filter((file, i) => i % 40 === 0 || file.bom)
    const wrong: string[] = []
    for (const [i, file] of sample.entries()) {
      const columns = file.postgres15_copy_csv_nohdr.columns ?? 0
      await makeTable('t', columns)
      const summary = await load({
        input: file.path,
        to: db.url,
        table: 't',
        dialect,
        columns: names(columns),
        job: `oracle ${String(i)}`,
        lanes: 1,
        create: 'never',
      })
      expect(summary.rows.loaded, file.name).toBe(file.postgres15_copy_csv_nohdr.rows)
      if ((await compare(file)) === 'not alike') wrong.push(file.name)
    }
    console.log(`corpora: ${String(sample.length)} files loaded by load()`)
    expect(wrong).toEqual([])
  })
})
