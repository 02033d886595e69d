import fc from 'fast-check'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ValueColumn } from '../../src/chunk/column.ts'
import type { Result } from '../../src/chunk/value.ts'
import { BINARY_HEADER, BINARY_TRAILER, encodeBinaryRows } from '../../src/copy/binary/rows.ts'
import { asMessage } from '../../src/copy/block-pool.ts'
import { Block, ChunkRows, RowCursor, type RowPlan } from '../../src/copy/rows.ts'
import { BadColumnValue, encodeTextRows } from '../../src/copy/text-rows.ts'
import { TargetError } from '../../src/core/errors.ts'
import { connect } from '../../src/target/connect.ts'
import { CopyIn } from '../../src/target/copy-in.ts'
import { useDatabase } from '../helpers/database.ts'
import { typeCases, typeDefinitions } from '../helpers/field-texts.ts'
import { differences, makeTables, type Tables } from '../helpers/roads.ts'

type Road = 'binary' | 'text'

const db = useDatabase()
const cursor = new RowCursor()
let client: Client

beforeAll(async () => {
  client = await connect({ server: db.url, applicationName: 'values' })
  await client.query(typeDefinitions)
})

afterAll(() => client.end())

/** The COPY data of one row; null when the road leaves it to the other. */
function encode(road: Road, id: number, value: Result, plan: RowPlan): Buffer | null {
  const block = new Block(Buffer.alloc(1 << 20), 5)
  const columns = [new ValueColumn([id]), new ValueColumn([value])]
  const chunk = { columns, rowCount: 1, selection: null, records: null }
  cursor.rewind()
  cursor.enter(new ChunkRows(chunk, plan))
  if (road === 'text') encodeTextRows(cursor, plan, block)
  else {
    BINARY_HEADER.copy(block.buffer, block.length)
    block.length += BINARY_HEADER.length
    encodeBinaryRows(cursor, plan, block)
    if (cursor.stop === 'not-canonical') return null
    BINARY_TRAILER.copy(block.buffer, block.length)
    block.length += BINARY_TRAILER.length
  }
  expect(cursor.stop).toBe('end')
  return asMessage(block)
}

/** Copies a row; what the server says of it. */
async function copyRow(road: Road, table: string, data: Buffer): Promise<string> {
  const copy = new CopyIn(`copy ${table} from stdin (format ${road})`)
  await copy.begin(client)
  await copy.write(data).catch(() => undefined) // end() tells why
  try {
    await copy.end()
    return 'stored'
  } catch (error) {
    if (error instanceof TargetError) return error.server.sqlstate ?? ''
    throw error
  }
}

/** Takes values by both roads and compares; returns how many are stored in binary. */
async function compareRoads(tables: Tables, values: readonly Result[]): Promise<number> {
  await client.query(`truncate ${tables.binary}, ${tables.text}`)
  let stored = 0
  for (const [id, value] of values.entries()) {
    const binary = encode('binary', id, value, tables.plan)
    if (binary === null) continue
    const byBinary = await copyRow('binary', tables.binary, binary)
    const byText = await copyRow('text', tables.text, encode('text', id, value, tables.plan)!)
    expect([value, byBinary]).toEqual([value, byText])
    if (byBinary === 'stored') stored++
  }
  expect(await differences(client, tables)).toEqual([])
  return stored
}

const dates = fc.date({
  min: new Date('0001-01-01'),
  max: new Date('9999-12-31'),
  noInvalidDate: true,
})
const cents = fc.double({ min: -1e9, max: 1e9, noNaN: true }).map((n) => Math.round(n * 100) / 100)
const results: fc.Arbitrary<Result> = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  cents,
  fc.double({ min: -1, max: 1, noNaN: true }),
  fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }),
  fc.boolean(),
  dates,
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.json({ maxDepth: 1 }),
  fc.uint8Array({ maxLength: 8 }),
  fc.constantFrom<Result>(null, undefined, '', 't', 'on'),
)

const borders: readonly Result[] = [
  ...[0, -0, 1, -1, 32767, 32768, -32768, -32769, 2147483647, 2147483648, -2147483648],
  ...[Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 63, 1e21, 1e-7, 5e-324, 1.7e308],
  ...[0.1, 0.5, -0.0001, 0.00001, 99999999.9999, 100000000.5, 12345678.12345, NaN, Infinity],
  ...[2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), 0n],
  ...[new Date(0), new Date(-1), new Date('9999-12-31T23:59:59.999Z'), new Date(946684800000)],
  ...['0', ' 1', '1.50', '2024-02-29', '12:00', 'é\u{1F600}', 'a\tb\\c\nd', '\\N', '\\.', '{}'],
  ...[[1, 2], ['a', null, 'b"c'], { a: [1, { b: 'é' }] }, Uint8Array.of(), Uint8Array.of(0, 255)],
]

describe('a value that a stage gives', () => {
  test.each(typeCases)('is stored in $type alike by both roads', async ({ type, texts }) => {
    const name = `v${String(typeCases.findIndex((c) => c.type === type))}`
    const tables = await makeTables(client, type, name)
    let stored = await compareRoads(tables, borders)
    const values = fc.array(fc.oneof(results, texts), { minLength: 60, maxLength: 60, size: 'max' })
    await fc.assert(
      fc.asyncProperty(values, async (some) => {
        stored += await compareRoads(tables, some)
      }),
      { numRuns: 3, interruptAfterTimeLimit: 60_000 },
    )
    expect(stored).toBeGreaterThan(5)
  })

  test.each([
    ['half a surrogate pair', 'a\ud800'],
    ['a promise', Promise.resolve(1) as unknown as Result],
    ['a function', (() => 1) as unknown as Result],
    ['a symbol', Symbol('x') as unknown as Result],
    ['an invalid Date', new Date(NaN)],
    ['an object that is no JSON', { a: 1n }],
  ])('is refused when it is %s', async (what, value) => {
    const { plan } = await makeTables(
      client,
      'text',
      `bad_${what.toLowerCase().replaceAll(/\W/g, '_')}`,
    )
    expect(encode('binary', 1, value, plan)).toBeNull()
    expect(() => encode('text', 1, value, plan)).toThrow(BadColumnValue)
    expect(() => encode('text', 1, value, plan)).toThrow(what)
  })
})
