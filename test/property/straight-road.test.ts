import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CsvRowEncoder } from '../../src/copy/binary/csv-rows.ts'
import { encodeBinaryRows } from '../../src/copy/binary/rows.ts'
import { growBlock } from '../../src/copy/block-pool.ts'
import { Kind, kindOf } from '../../src/copy/kinds.ts'
import { chunkOf } from '../../src/chunk/chunk.ts'
import { Block, ChunkRows, RowCursor, RowPlan } from '../../src/copy/rows.ts'
import { type CsvDialect, defaultDialect, type LineEnd } from '../../src/source/csv/dialect.ts'
import { fastEngine } from '../../src/source/csv/fast-engine.ts'
import { typeCases } from '../helpers/field-texts.ts'

const HEAD = 5

/** Bytes of a block, and of what the encoder takes into its memory at a time: a longer row is left to the index. */
interface Sizes {
  readonly block: number
  readonly window: number
}

const large: Sizes = { block: 65536, window: 65536 }

interface Encoded {
  readonly data: Buffer
  readonly rows: number
  readonly stop: RowCursor['stop']
}

/** Runs an encoder block by block, as a lane does; blocks of `size` bytes. */
function inBlocks(cursor: RowCursor, size: number, encode: (block: Block) => void): Encoded {
  const pieces: Buffer[] = []
  do {
    let block = new Block(Buffer.alloc(size), HEAD)
    encode(block)
    while (cursor.stop === 'full' && block.length === HEAD) {
      block = growBlock(block)
      encode(block)
    }
    pieces.push(block.buffer.subarray(HEAD, block.length))
  } while (cursor.stop === 'full')
  return { data: Buffer.concat(pieces), rows: cursor.row, stop: cursor.stop }
}

function overIndex(bytes: Buffer, dialect: CsvDialect, width: number, plan: RowPlan): Encoded {
  const engine = fastEngine(dialect)
  const { fields, bad } = engine.index(bytes, width, 1)
  const cursor = new RowCursor()
  cursor.rewind()
  const sound = bad[0] === undefined ? fields.rowCount : bad[0].record
  cursor.enter(new ChunkRows(chunkOf({ ...fields, rowCount: sound }), plan))
  const encoded = inBlocks(cursor, 1 << 16, (block) => encodeBinaryRows(cursor, plan, block))
  return bad.length > 0 && encoded.stop === 'end' ? { ...encoded, stop: 'not-canonical' } : encoded
}

let latest: { readonly key: string; readonly encoder: CsvRowEncoder | null } | null = null

/** Used for many inputs in a row, as a lane does. */
function encoderOf(dialect: CsvDialect, width: number, plan: RowPlan, { window }: Sizes) {
  const key = JSON.stringify([dialect, width, [...plan.slots], [...plan.kinds], window])
  if (latest?.key !== key) {
    const { structure } = fastEngine(dialect)
    const encoder = structure && new CsvRowEncoder(structure, width, plan, { windowBytes: window })
    latest = { key, encoder }
  }
  return latest.encoder
}

/** The straight road, with the index road taking over a row that it does not take. */
function straight(bytes: Buffer, dialect: CsvDialect, width: number, plan: RowPlan, sizes: Sizes) {
  const encoder = encoderOf(dialect, width, plan, sizes)
  if (encoder === null) return null
  const cursor = new RowCursor()
  cursor.rewind()
  return {
    ...inBlocks(cursor, sizes.block, (block) => encoder.encode(cursor, bytes, block)),
    byte: cursor.byte,
  }
}

/** What the straight road has written must be how the index road begins; only what is unusual may stop it early. */
function compare(bytes: Buffer, dialect: CsvDialect, plan: RowPlan, width: number, sizes = large) {
  const indexed = overIndex(bytes, dialect, width, plan)
  const found = straight(bytes, dialect, width, plan, sizes)
  if (found === null) return 0
  expect(found.rows).toBeLessThanOrEqual(indexed.rows)
  expect(found.data.equals(indexed.data.subarray(0, found.data.length))).toBe(true)
  const start = fastEngine(dialect).scan(bytes.subarray(0, found.byte), false)
  expect([start.end, start.records]).toEqual([found.byte, found.rows])
  if (found.stop === 'end') expect(found.rows).toBe(indexed.rows)
  if (found.stop === 'end') expect(indexed.stop).toBe('end')
  return found.rows
}

const kinds = Object.values(Kind).filter((kind) => kind !== Kind.server)
const lineEnd = fc.constantFrom<LineEnd>('lf', 'crlf')
const sizes = fc.record({
  block: fc.constantFrom(64, 200, 9000, 65536),
  window: fc.constantFrom(8, 20, 60, 65536, 65536),
})

/** Columns of any kinds over `width` fields, in the order of the file, some fields left out. */
const plans = fc.array(fc.option(fc.constantFrom(...kinds), { nil: null }), {
  minLength: 1,
  maxLength: 4,
})

function planOf(taken: readonly (Kind | null)[]): RowPlan {
  return new RowPlan(taken.flatMap((kind, field) => (kind === null ? [] : [{ slot: field, kind }])))
}

describe('the road without an index', () => {
  test('writes what the road over an index writes, for values of every type', () => {
    const texts = fc.oneof(...typeCases.map((type) => type.texts))
    const field = fc.tuple(texts, fc.constantFrom('plain', 'plain', 'quoted', 'null'))
    let taken = 0
    fc.assert(
      fc.property(
        plans,
        lineEnd,
        sizes,
        fc.array(fc.array(field, { minLength: 4, maxLength: 4 }), { maxLength: 6 }),
        (columns, end, bytesOf, rows) => {
          const text = rows.map(
            (row) =>
              row.slice(0, columns.length).map(written).join(',') + (end === 'lf' ? '\n' : '\r\n'),
          )
          const dialect = { ...defaultDialect, lineEnd: end }
          taken += compare(
            Buffer.from(text.join('')),
            dialect,
            planOf(columns),
            columns.length,
            bytesOf,
          )
        },
      ),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(500)
  })

  test.each(Object.entries(Kind).filter(([name]) => name !== 'server'))(
    'writes what the road over an index writes in a column of %s',
    (_, kind) => {
      const plan = new RowPlan([
        { slot: 0, kind: Kind.text },
        { slot: 1, kind },
      ])
      const borders = typeCases.flatMap((type) => type.borders)
      let taken = 0
      for (const border of borders) {
        for (const how of ['plain', 'quoted']) {
          const bytes = Buffer.from(`a,${written([border, how])}\nb,\n`)
          taken += compare(bytes, { ...defaultDialect, lineEnd: 'lf' }, plan, 2)
        }
      }
      expect(taken).toBeGreaterThan(2)
    },
  )

  test('writes what the road over an index writes, for values with one character changed', () => {
    const column = fc.constantFrom(...typeCases.filter(({ type }) => kindOf(type) !== Kind.server))
    const change = fc.tuple(fc.nat(), fc.constantFrom(...'0199/:;-+. Te,\t\0\x7fé\u{1F600}'))
    const values = column.chain(({ type, texts }) =>
      fc.tuple(fc.constant(kindOf(type)), fc.array(fc.tuple(texts, change), { minLength: 1 })),
    )
    fc.assert(
      fc.property(values, ([kind, rows]) => {
        const text = rows.map(([value, [where, character]]) => {
          const at = where % (value.length + 1)
          const changed = value.slice(0, at) + character + value.slice(at + 1)
          return `${written([changed, 'plain'])},x\n`
        })
        const plan = planOf([kind, Kind.text])
        compare(Buffer.from(text.join('')), { ...defaultDialect, lineEnd: 'lf' }, plan, 2)
      }),
      { numRuns: 5000 },
    )
  })

  test('writes what the road over an index writes, for any bytes', () => {
    const bytes = fc.string({
      unit: fc.constantFrom(...'12,,""\n\n\r.-a0é'),
      maxLength: 60,
      size: 'max',
    })
    fc.assert(
      fc.property(plans, lineEnd, sizes, bytes, (columns, end, bytesOf, text) => {
        const dialect = { ...defaultDialect, lineEnd: end }
        compare(Buffer.from(`${text}\n`), dialect, planOf(columns), columns.length, bytesOf)
      }),
      { numRuns: 10_000 },
    )
  })

  test('writes what the road over an index writes with delimiters and quotes that numbers and dates hold', () => {
    const unit = fc.constantFrom(...'12.,-0\n"2020-01-02', '2020-01-02', '1.5')
    const bytes = fc.string({ unit, maxLength: 40, size: 'max' })
    const delimiter = fc.constantFrom('.', '-', '0', ';')
    const quote = fc.constantFrom('"', '1', "'")
    fc.assert(
      fc.property(plans, delimiter, quote, bytes, (columns, by, around, text) => {
        const dialect: CsvDialect = {
          ...defaultDialect,
          lineEnd: 'lf',
          delimiter: by,
          quote: around,
          escape: around,
        }
        compare(Buffer.from(`${text}\n`), dialect, planOf(columns), columns.length)
      }),
      { numRuns: 5000 },
    )
  })

  test('writes rows that do not fit into what is left of a block into the next one', () => {
    for (const length of [0, 10, 50, 200, 8000]) {
      for (const block of [64, 300, 8192, 8500, 20_000]) {
        expect(rowsTaken(length, { block, window: 1 << 17 })).toBe(80)
      }
    }
  })

  test('leaves a row longer than its memory to the index', () => {
    expect(rowsTaken(8000, { block: 20_000, window: 20_000 })).toBe(0)
    expect(rowsTaken(70_000, { block: 20_000, window: 1 << 17 })).toBe(0)
  })
})

/** Of eighty rows with texts of a length. */
function rowsTaken(length: number, sizes: Sizes): number {
  const plan = planOf([Kind.text, Kind.int4, null, Kind.numeric])
  const x = 'x'.repeat(length)
  const row = `"${'é'.repeat(length)}",7,"${x}",-1.50\n${x},,y,\n`
  return compare(Buffer.from(row.repeat(40)), { ...defaultDialect, lineEnd: 'lf' }, plan, 4, sizes)
}

function written([text, how]: readonly [string, string]): string {
  if (how === 'null') return ''
  const plain = how === 'plain' && text !== '' && !/[",\r\n]/.test(text)
  return plain ? text : `"${text.replaceAll('"', '""')}"`
}
