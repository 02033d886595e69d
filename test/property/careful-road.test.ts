import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chunkOf } from '../../src/chunk/chunk.ts'
import { decodeText } from '../../src/chunk/decode.ts'
import { IndexedRowEncoder } from '../../src/copy/binary/indexed-rows.ts'
import { encodeBinaryRows } from '../../src/copy/binary/rows.ts'
import { asMessage, BlockPool, growBlock } from '../../src/copy/block-pool.ts'
import type { CopyPart } from '../../src/copy/encode-chunk.ts'
import { Kind } from '../../src/copy/kinds.ts'
import { Block, ChunkRows, RowCursor, type RowEncoder, RowPlan } from '../../src/copy/rows.ts'
import { type CarefulReading, readCarefully } from '../../src/run/lanes/careful-range.ts'
import type { RangeBytes } from '../../src/run/lanes/lane-protocol.ts'
import { type CsvDialect, defaultDialect, type LineEnd } from '../../src/source/csv/dialect.ts'
import type { CsvEngine } from '../../src/source/csv/engine.ts'
import { fastEngine } from '../../src/source/csv/fast-engine.ts'
import { generalEngine } from '../../src/source/csv/general-engine.ts'
import { StageList } from '../../src/stage/stage-list.ts'
import { typeCases } from '../helpers/field-texts.ts'
import { slowEngine } from '../helpers/slow-engine.ts'

const inJavaScript: RowEncoder = { encode: encodeBinaryRows }
const lineEnds = { lf: '\n', crlf: '\r\n', cr: '\r' }
const kinds = fc.constantFrom(...Object.values(Kind).filter((kind) => kind !== Kind.server))

interface Encoded {
  readonly data: string
  readonly left: readonly number[]
}

/** Encodes rows block by block; those that are not canonical are left out. */
function encode(encoder: RowEncoder, rows: ChunkRows, plan: RowPlan, size: number): Encoded {
  const cursor = new RowCursor()
  cursor.rewind()
  cursor.enter(rows)
  const left: number[] = []
  const pieces: Buffer[] = []
  while (cursor.stop !== 'end') {
    let block = new Block(Buffer.alloc(size), 0)
    encoder.encode(cursor, plan, block)
    while (cursor.stop === 'full' && block.length === 0) {
      block = growBlock(block)
      encoder.encode(cursor, plan, block)
    }
    pieces.push(block.buffer.subarray(0, block.length))
    if (cursor.stop === 'not-canonical') left.push(cursor.row++)
  }
  // As text: byte by byte a large one takes half a minute to compare.
  return { data: Buffer.concat(pieces).toString('latin1'), left }
}

describe('the kernel over an index', () => {
  test('writes what the loop in JavaScript writes, for some rows of any values and blocks', () => {
    const texts = fc.oneof(...typeCases.map((type) => type.texts))
    const field = fc.oneof(
      { weight: 2, arbitrary: texts },
      { weight: 1, arbitrary: fc.constantFrom('', '"a""b"', '"a"b"c"', 'a"b"', '12', '-7.50') },
    )
    const table = fc.array(fc.array(field, { minLength: 3, maxLength: 3 }), { maxLength: 9 })
    const columns = fc.array(fc.record({ slot: fc.nat({ max: 2 }), kind: kinds }), {
      minLength: 1,
      maxLength: 4,
    })
    const kept = fc.option(fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }), { nil: null })
    const sizes = fc.record({
      block: fc.constantFrom(64, 300, 65536),
      window: fc.constantFrom(16, 60, 65536),
    })
    let written = 0
    fc.assert(
      fc.property(table, columns, kept, sizes, (lines, copied, keep, { block, window }) => {
        const text = lines.map((line) => `${line.map(oneField).join(',')}\n`).join('')
        const dialect = { ...defaultDialect, lineEnd: 'lf' } as const
        const { fields } = fastEngine(dialect).index(Buffer.from(text), 3, lines.length)
        const rows = Int32Array.from({ length: fields.rowCount }, (_, row) => row)
        const selection = keep && rows.filter((row) => keep[row])
        const plan = new RowPlan(copied)
        const chunk = { ...chunkOf(fields), selection }
        const encoder = new IndexedRowEncoder({ windowBytes: window })
        const found = encode(encoder, new ChunkRows(chunk, plan), plan, block)
        expect(found).toEqual(encode(inJavaScript, new ChunkRows(chunk, plan), plan, block))
        written += (selection?.length ?? fields.rowCount) - found.left.length
      }),
      { numRuns: 3000 },
    )
    expect(written).toBeGreaterThan(1000)
  })

  test.each(Object.entries(Kind).filter(([name]) => name !== 'server'))(
    'writes what the loop in JavaScript writes in a column of %s, from one encoder for all',
    (_, kind) => {
      const encoder = new IndexedRowEncoder()
      const borders = typeCases.flatMap((type) => type.borders)
      const text = borders.map((border) => `${oneField(border)},x\n`).join('')
      const dialect = { ...defaultDialect, lineEnd: 'lf' } as const
      const { fields } = fastEngine(dialect).index(Buffer.from(text), 2, borders.length)
      for (const slots of [[0], [1, 0], [0, 0, 1]]) {
        const plan = new RowPlan(slots.map((slot) => ({ slot, kind: slot ? Kind.text : kind })))
        const chunk = chunkOf(fields)
        const found = encode(encoder, new ChunkRows(chunk, plan), plan, 4096)
        expect(found).toEqual(encode(inJavaScript, new ChunkRows(chunk, plan), plan, 4096))
        expect(found.left.length).toBeLessThan(borders.length)
      }
    },
  )

  test('takes rows without a value, and rows that are longer than its memory', () => {
    const plan = new RowPlan([0, 1].map((slot) => ({ slot, kind: Kind.text })))
    const long = 'x'.repeat(300_000)
    const text = `,\n,\n${long},1\n,\nab,${long.slice(0, 70_000)}\n,\nc,d\n,\n`
    const dialect = { ...defaultDialect, lineEnd: 'lf' } as const
    const { fields } = fastEngine(dialect).index(Buffer.from(text), 2, 8)
    const rows = (): ChunkRows => new ChunkRows(chunkOf(fields), plan)
    const found = encode(new IndexedRowEncoder(), rows(), plan, 4096)
    expect(found).toEqual(encode(inJavaScript, rows(), plan, 4096))
    expect(found.left).toEqual([])
  })
})

/** A record as it is written, and whether it is to become a row. */
interface Record {
  readonly text: string
  readonly is: 'row' | 'bad' | 'blank' | 'comment'
}

const sound = fc
  .tuple(
    fc.constantFrom('1', '22', '-3', ' 4', '5x', '', '123456789012', '"6"'),
    fc.constantFrom(
      'a',
      '\xc3\xa9',
      'abc',
      'abcdef',
      '',
      '""',
      '"x,y"',
      '"two\nlines"',
      '"say ""so"""',
    ),
    fc.constantFrom('0.50', '12345.00', '', '1e3', 'word'),
  )
  .map((fields) => fields.join(','))
/** A quote within a field makes no bad record, as PostgreSQL reads it. */
const quoted = fc.constantFrom('1,a"b"c,2', '"1"2,x,', '3,"a"b"c",4')
const bad = fc.constantFrom(
  '1',
  '1,2',
  '1,2,3,4',
  '"a","b\nc"',
  '1,\xff,2',
  '1,"a\0b",3',
  '1,\xc3,2',
)

const record: fc.Arbitrary<Record> = fc.oneof(
  { weight: 6, arbitrary: sound.map((text) => ({ text, is: 'row' }) as const) },
  { weight: 1, arbitrary: quoted.map((text) => ({ text, is: 'row' }) as const) },
  { weight: 2, arbitrary: bad.map((text) => ({ text, is: 'bad' }) as const) },
  { weight: 1, arbitrary: fc.constant({ text: '', is: 'blank' } as const) },
)

/** What is made of a range: what is rejected at once, what is suspected, and what goes to the server, byte by byte. */
interface Outcome {
  readonly rows: number
  readonly suspects: readonly number[]
  readonly rejects: readonly object[]
  readonly later: readonly object[]
  readonly asked: Encoded
  readonly copied: Encoded
  readonly text: string
}

const START = { start: 1000, firstRecord: 7, firstLine: 9 }

async function read(
  bytes: Buffer,
  dialect: CsvDialect,
  engine: CsvEngine,
  encoder: RowEncoder,
  surprises: readonly number[],
): Promise<Outcome> {
  const columns = [Kind.int8, Kind.text, Kind.numeric].map((kind, slot) => ({ slot, kind }))
  const open = { notNull: false, length: null, wholeDigits: null }
  const pool = new BlockPool(2)
  const reading: CarefulReading = {
    engine,
    input: { source: 'memory', dialect, fieldCount: 3, rejects: 'keep' },
    decoders: columns.map(() => decodeText),
    stages: new StageList(
      [],
      columns.map(({ slot }) => ({ name: `c${String(slot)}`, type: null, slot })),
    ),
    plan: new RowPlan(columns),
    copied: columns,
    columns: ['a', 'b', 'c'],
    limits: [
      { ...open, notNull: true },
      { ...open, length: 4 },
      { ...open, wholeDigits: 3 },
    ],
    encoder,
    pool,
  }
  const { records, lines } = engine.scan(bytes, true)
  const end = START.start + bytes.length
  const buffer = new Uint8Array(bytes).buffer
  const source: RangeBytes = {
    range: { ...START, end, records, lines },
    buffer,
    length: bytes.length,
  }
  const chunk = await readCarefully(reading, source, null)

  const left: number[] = []
  const asked = await dataOf(chunk.encodeColumns(chunk.suspects, [2, 0], left), pool)
  const gone = surprises.map((row) => row % (chunk.rows + 1)).filter((row) => row < chunk.rows)
  const suspects = [...new Set([...chunk.suspects, ...left, ...gone])].sort((a, b) => a - b)
  const more: number[] = []
  const copied = await dataOf(chunk.encode(suspects, more), pool)
  const all = [...suspects, ...more].sort((a, b) => a - b)
  const refusals = all.map((row) => {
    return { row, sqlstate: '23514', column: null, constraint: 'c', message: 'no' }
  })
  return {
    rows: chunk.rows,
    suspects: chunk.suspects,
    rejects: chunk.rejects,
    later: chunk.rejectsOf(refusals),
    asked: { data: asked.toString('latin1'), left },
    copied: { data: copied.toString('latin1'), left: more },
    text: (await dataOf(chunk.encodeText(all), pool)).toString('latin1'),
  }
}

async function dataOf(parts: AsyncIterable<CopyPart>, pool: BlockPool): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const { block } of parts) {
    pieces.push(Buffer.from(asMessage(block).subarray(5)))
    pool.give(block)
  }
  return Buffer.concat(pieces)
}

/** The rejects that a range must give by itself. */
function expected(records: readonly Record[], dialect: CsvDialect, lineEnd: LineEnd) {
  let byte = START.start
  let line = START.firstLine
  return records.flatMap(({ text, is }, i) => {
    const raw = Buffer.from(text, 'latin1')
    const place = { record: START.firstRecord + i, line, byte, raw }
    byte += raw.length + lineEnds[lineEnd].length
    line += 1 + text.split('\n').length - 1
    return is === 'bad' || (is === 'blank' && dialect.emptyLines === 'keep') ? [place] : []
  })
}

const kernel = new IndexedRowEncoder({ windowBytes: 100 })
const surprise = fc.array(fc.nat(), { maxLength: 3 })

describe('a range that is read carefully', () => {
  test('is the same rows and the same rejects, whichever records are indexed and encoded quickly', async () => {
    let rejects = 0
    let rows = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 30, size: 'max' }),
        fc.constantFrom<LineEnd>('lf', 'crlf'),
        fc.constantFrom<CsvDialect['emptyLines']>('keep', 'skip'),
        fc.constantFrom('', '', 'a'),
        surprise,
        fc.boolean(),
        async (records, lineEnd, emptyLines, nullText, surprises, isOpen) => {
          const dialect: CsvDialect = { ...defaultDialect, lineEnd, emptyLines, nullText }
          const text = records.map((one) => one.text + lineEnds[lineEnd]).join('')
          const end = isOpen && records.at(-1)?.is === 'row' ? lineEnds[lineEnd].length : 0
          const bytes = Buffer.from(text.slice(0, text.length - end), 'latin1')
          const fast = await read(bytes, dialect, fastEngine(dialect), kernel, surprises)
          const slow = await read(bytes, dialect, slowEngine(dialect), inJavaScript, surprises)
          expect(fast).toEqual(slow)
          expect(fast.rejects).toMatchObject(expected(records, dialect, lineEnd))
          expect(fast.rejects).toHaveLength(expected(records, dialect, lineEnd).length)
          expect(fast.rows).toBe(records.filter(({ is }) => is === 'row').length)
          rejects += fast.rejects.length
          rows += fast.rows - fast.later.length
        },
      ),
      { numRuns: 1500 },
    )
    expect(rejects).toBeGreaterThan(1000)
    expect(rows).toBeGreaterThan(1000)
  })

  test('is the same where another engine has made the index, with comments', async () => {
    const comment = fc
      .constantFrom('# one', '#\xff', '# "')
      .map((text) => ({ text, is: 'comment' }))
    const records = fc.array(
      fc.oneof({ weight: 5, arbitrary: record }, { weight: 1, arbitrary: comment }),
      { maxLength: 12, size: 'max' },
    )
    let rejects = 0
    await fc.assert(
      fc.asyncProperty(records, surprise, async (lines, surprises) => {
        const dialect: CsvDialect = { ...defaultDialect, lineEnd: 'lf', comment: '#' }
        const bytes = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''), 'latin1')
        const engine = generalEngine(dialect)
        const fast = await read(bytes, dialect, engine, kernel, surprises)
        expect(fast).toEqual(await read(bytes, dialect, engine, inJavaScript, surprises))
        rejects += fast.rejects.length
      }),
      { numRuns: 300 },
    )
    expect(rejects).toBeGreaterThan(100)
  })
})

/** A field that is written as it is where it is one, else in quotes. */
function oneField(text: string): string {
  if (/^"|"$/.test(text) && !/[,\r\n]/.test(text)) return text
  return /[",\r\n\0]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
