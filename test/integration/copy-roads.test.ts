import fc from 'fast-check'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Fields } from '../../src/chunk/fields.ts'
import { BINARY_HEADER, BINARY_TRAILER, encodeBinaryRows } from '../../src/copy/binary/rows.ts'
import { asMessage, growBlock } from '../../src/copy/block-pool.ts'
import { Kind } from '../../src/copy/kinds.ts'
import { chunkOf } from '../../src/chunk/chunk.ts'
import type { RowPlan } from '../../src/copy/rows.ts'
import { Block, ChunkRows, RowCursor } from '../../src/copy/rows.ts'
import { encodeTextRows } from '../../src/copy/text-rows.ts'
import { TargetError } from '../../src/core/errors.ts'
import { defaultDialect } from '../../src/source/csv/dialect.ts'
import { fastEngine } from '../../src/source/csv/fast-engine.ts'
import { connect } from '../../src/target/connect.ts'
import { CopyIn } from '../../src/target/copy-in.ts'
import { useDatabase } from '../helpers/database.ts'
import { typeCases, typeDefinitions } from '../helpers/field-texts.ts'
import { differences, makeTables, type Tables } from '../helpers/roads.ts'

type Road = 'binary' | 'text'

/** A value, and how its field is written: as it is if that can be, in quotes, or with quotes inside. */
interface Field {
  readonly text: string | null
  readonly quotes: 'none' | 'around' | 'inside'
}

const db = useDatabase()
const engine = fastEngine({ ...defaultDialect, lineEnd: 'lf' })
const cursor = new RowCursor()
let client: Client

beforeAll(async () => {
  client = await connect({ server: db.url, applicationName: 'roads' })
  await client.query(typeDefinitions)
})

afterAll(() => client.end())

function written({ text, quotes }: Field): string {
  if (text === null) return ''
  const doubled = text.replaceAll('"', '""')
  if (quotes === 'inside' && text.length > 1) {
    const [first, ...rest] = [...text]
    if (!/[",\r\n]/.test(first!)) return `${first!}"${rest.join('').replaceAll('"', '""')}"`
  }
  return quotes === 'none' && text !== '' && !/[",\r\n]/.test(text) ? text : `"${doubled}"`
}

function indexed(fields: readonly Field[]): Fields {
  const rows = fields.map((field, id) => `${String(id)},${written(field)}\n`)
  const { fields: view, bad } = engine.index(Buffer.from(rows.join('')), 2, rows.length)
  expect(bad).toEqual([])
  expect(view.rowCount).toBe(fields.length)
  return { ...view, offsets: view.offsets.slice(0, rows.length * 4) }
}

/** The rows [from, to) of an index. */
function part(view: Fields, from: number, to: number): Fields {
  return { ...view, rowCount: to - from, offsets: view.offsets.subarray(from * 4, to * 4) }
}

/** The rows that the binary encoder takes. */
function canonicalRows(view: Fields, plan: RowPlan): Fields {
  const offsets: number[] = []
  for (let row = 0; row < view.rowCount; row++) {
    const one = part(view, row, row + 1)
    if (encode('binary', one, plan) !== null) offsets.push(...one.offsets)
  }
  return { ...view, rowCount: offsets.length / 4, offsets: Int32Array.from(offsets) }
}

/** The COPY data of an index; null when the encoder stops before its end. */
function encode(road: Road, view: Fields, plan: RowPlan): Buffer | null {
  let block = new Block(Buffer.alloc(4096), 5)
  if (road === 'binary') {
    BINARY_HEADER.copy(block.buffer, block.length)
    block.length += BINARY_HEADER.length
  }
  cursor.rewind()
  cursor.enter(new ChunkRows(chunkOf(view), plan))
  for (;;) {
    if (road === 'binary') encodeBinaryRows(cursor, plan, block)
    else encodeTextRows(cursor, plan, block)
    if (cursor.stop === 'not-canonical') return null
    if (cursor.stop === 'end') break
    block = growBlock(block)
  }
  if (road === 'binary') {
    block = growBlock(block)
    BINARY_TRAILER.copy(block.buffer, block.length)
    block.length += BINARY_TRAILER.length
  }
  return asMessage(block)
}

/** Copies rows, those that the server refuses left out. Returns what it says of these, by row. */
async function copyRows(
  road: Road,
  table: string,
  view: Fields,
  plan: RowPlan,
): Promise<Map<number, string>> {
  const refused = new Map<number, string>()
  let from = 0
  while (from < view.rowCount) {
    const line = await copyOnce(road, table, part(view, from, view.rowCount), plan)
    if (line === null) break
    const row = from + line.row
    refused.set(row, line.sqlstate)
    if (row > from) expect(await copyOnce(road, table, part(view, from, row), plan)).toBeNull()
    from = row + 1
  }
  return refused
}

/** One COPY; null, or the row the server refused. */
async function copyOnce(
  road: Road,
  table: string,
  view: Fields,
  plan: RowPlan,
): Promise<{ row: number; sqlstate: string } | null> {
  const data = encode(road, view, plan)!
  const copy = new CopyIn(`copy ${table} from stdin (format ${road})`)
  await copy.begin(client)
  await copy.write(data).catch(() => undefined) // end() tells why
  try {
    expect(await copy.end()).toBe(view.rowCount)
    return null
  } catch (error) {
    if (!(error instanceof TargetError) || error.copyLine === undefined) throw error
    return { row: error.copyLine - 1, sqlstate: error.server.sqlstate ?? '' }
  }
}

function refusals(refused: Map<number, string>, view: Fields, fields: readonly Field[]): unknown[] {
  const idOf = (row: number): number =>
    Number(view.bytes.toString('latin1', view.offsets[row * 4], view.offsets[row * 4 + 1]))
  return [...refused].map(([row, sqlstate]) => [fields[idOf(row)]?.text?.slice(0, 200), sqlstate])
}

/** Takes fields by both roads and compares. Returns how many went as binary and are stored. */
async function compareRoads(tables: Tables, fields: readonly Field[]): Promise<number> {
  const { plan } = tables
  await client.query(`truncate ${tables.binary}, ${tables.text}`)
  const view = canonicalRows(indexed(fields), plan)
  const byBinary = await copyRows('binary', tables.binary, view, plan)
  const byText = await copyRows('text', tables.text, view, plan)
  expect(refusals(byBinary, view, fields)).toEqual(refusals(byText, view, fields))
  expect(await differences(client, tables)).toEqual([])
  return view.rowCount - byBinary.size
}

const quoting = fc.constantFrom(
  'none' as const,
  'none' as const,
  'around' as const,
  'inside' as const,
)
const sessions = fc.constantFrom(
  `set datestyle = 'ISO, MDY'; set timezone = 'UTC'`,
  `set datestyle = 'SQL, DMY'; set timezone = 'America/New_York'`,
  `set datestyle = 'German'; set timezone = 'Asia/Kolkata'`,
  `set datestyle = 'Postgres, YMD'; set timezone = 'Europe/Dublin'`,
)

describe('the binary road', () => {
  test.each(typeCases)(
    'stores in $type what the text road stores',
    async ({ type, texts, borders }) => {
      const tables = await makeTables(
        client,
        type,
        `t${String(typeCases.findIndex((c) => c.type === type))}`,
      )
      const nulls = fc.constant({ text: null, quotes: 'none' as const })
      const values = fc.record({ text: texts, quotes: quoting })
      const field = fc.oneof({ weight: 1, arbitrary: nulls }, { weight: 30, arbitrary: values })
      const bordering = borders.flatMap((text) =>
        (['none', 'around', 'inside'] as const).map((quotes) => ({ text, quotes })),
      )
      let binary = await compareRoads(tables, bordering)
      await fc.assert(
        fc.asyncProperty(
          fc.array(field, { minLength: 120, maxLength: 120, size: 'max' }),
          sessions,
          async (fields, session) => {
            await client.query(session)
            binary += await compareRoads(tables, fields)
          },
        ),
        { numRuns: 4, interruptAfterTimeLimit: 60_000 },
      )
      expect(binary, 'values that went as binary').toBeGreaterThan(20)
    },
  )

  test('is taken by every kind of value there is an encoder for', async () => {
    const kinds = new Set<number>()
    for (const [i, { type }] of typeCases.entries()) {
      for (const kind of (await makeTables(client, type, `k${String(i)}`)).plan.kinds)
        kinds.add(kind)
    }
    const known = Object.values(Kind).filter((kind) => kind !== Kind.server)
    expect([...kinds].sort()).toEqual(known.sort())
  })
})

describe('the comparison', () => {
  test.each([
    ['numeric', '1.0', '1.00'],
    ['float8', '0', '-0'],
    ['float4', '16777216', '16777218'],
    ['timestamptz', '2020-01-01 00:00:00.000001Z', '2020-01-01 00:00:00Z'],
    ['text', '', null],
  ])('tells %s %s from %s', async (type, one, other) => {
    const tables = await makeTables(client, type, `c_${type}`)
    const { plan } = tables
    const [a, b] = [one, other].map((text) => indexed([{ text, quotes: 'none' }])) as [
      Fields,
      Fields,
    ]
    expect(await copyOnce('binary', tables.binary, a, plan)).toBeNull()
    expect(await copyOnce('text', tables.text, b, plan)).toBeNull()
    expect(await differences(client, tables)).toHaveLength(1)
  })
})
