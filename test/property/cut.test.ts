import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Claim } from '../../src/checkpoint/claims.ts'
import { remainingGaps } from '../../src/checkpoint/remaining.ts'
import type { BadRecord } from '../../src/chunk/fields.ts'
import type { Position } from '../../src/chunk/range.ts'
import { SourceError } from '../../src/core/errors.ts'
import { placeOfRow } from '../../src/run/lanes/bad-row.ts'
import type { ByteSource } from '../../src/source/bytes/byte-source.ts'
import { findBadText } from '../../src/source/csv/check-text.ts'
import { cut, type CutLimits } from '../../src/source/csv/cut.ts'
import { type CsvDialect, defaultDialect, type LineEnd } from '../../src/source/csv/dialect.ts'
import type { CsvEngine } from '../../src/source/csv/engine.ts'
import { fastEngine } from '../../src/source/csv/fast-engine.ts'
import { generalEngine } from '../../src/source/csv/general-engine.ts'
import { recordAt, recordNumber } from '../../src/source/csv/locate.ts'
import { rowsOf } from '../helpers/corpora.ts'
import { slowEngine } from '../helpers/slow-engine.ts'

type Row = readonly (string | null)[]

/** A CSV text and what it means. */
interface Csv {
  readonly bytes: Buffer
  readonly lineEnd: LineEnd
  readonly rows: readonly Row[]
  /** Where each record starts, and the end of the last. */
  readonly starts: readonly number[]
  /** Line ends before each record, quoted ones too. */
  readonly lines: readonly number[]
}

const lineEnds = { lf: '\n', crlf: '\r\n', cr: '\r' }
const start: Position = { byte: 0, record: 1, line: 1 }

const cell = fc.oneof(
  { weight: 2, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant('') },
  { weight: 4, arbitrary: fc.string({ unit: fc.constantFrom(...'ab1 é€😀\\'), maxLength: 6 }) },
  { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom(...'a",\n\r'), maxLength: 6 }) },
  {
    weight: 1,
    arbitrary: fc.string({ unit: fc.constantFrom(...'ab\n'), maxLength: 90, size: 'max' }),
  },
)

function writeCsv(
  rows: readonly Row[],
  lineEnd: LineEnd,
  ends: 'ended' | 'open',
  quoteAll: boolean,
): Csv {
  const terminator = lineEnd === 'cr' ? '\r' : '\n'
  let text = ''
  const starts: number[] = [0]
  const lines: number[] = [0]
  rows.forEach((row, i) => {
    const record = row.map((value) => writeCell(value, quoteAll)).join(',')
    const isOpen = ends === 'open' && i === rows.length - 1 && record !== ''
    text += record + (isOpen ? '' : lineEnds[lineEnd])
    starts.push(Buffer.byteLength(text))
    lines.push(text.split(terminator).length - 1 + (isOpen ? 1 : 0))
  })
  return { bytes: Buffer.from(text), lineEnd, rows, starts, lines }
}

function writeCell(value: string | null, quoteAll: boolean): string {
  if (value === null) return ''
  const mustQuote = quoteAll || value === '' || /[",\r\n]/.test(value)
  return mustQuote ? `"${value.replaceAll('"', '""')}"` : value
}

const lineEnd = fc.constantFrom<LineEnd>('lf', 'crlf', 'cr')

/** CSV of which every record has `width` fields; with width 1 a NULL is a blank line. */
const csv = fc.integer({ min: 1, max: 4 }).chain((width) =>
  fc
    .tuple(
      fc.array(fc.array(cell, { minLength: width, maxLength: width }), {
        maxLength: 40,
        size: 'max',
      }),
      lineEnd,
      fc.constantFrom('ended' as const, 'open' as const),
      fc.boolean(),
    )
    .map(([rows, ...how]) => writeCsv(rows, ...how)),
)

const limits = fc.record({
  chunkSize: fc.integer({ min: 1, max: 300 }),
  chunkRecords: fc.integer({ min: 1, max: 20 }),
  maxRecord: fc.constant(4096),
})

function engineOf(
  { lineEnd: end }: Pick<Csv, 'lineEnd'>,
  more: Partial<CsvDialect> = {},
): CsvEngine {
  return fastEngine({ ...defaultDialect, lineEnd: end, ...more })
}

/** A source in memory that counts what is read of it. */
function countingSource(bytes: Buffer): ByteSource & { bytesRead: number } {
  const source = {
    name: 'memory',
    size: bytes.length,
    identity: null,
    bytesRead: 0,
    read(into: Uint8Array, offset: number, length: number, position: number) {
      const read = bytes.copy(into, offset, position, position + length)
      source.bytesRead += read
      return Promise.resolve(read)
    },
    peek: () => Promise.reject(new Error('a cut never peeks')),
    verify: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  return source
}

interface Pieces {
  readonly rows: Row[]
  readonly bad: BadRecord[]
  readonly ends: number[]
  /** Buffers taken and neither given back nor handed out with a range. */
  readonly unreturned: number
}

/** Cuts and indexes a piece of an input, and holds what must be true of every range. */
async function readInPieces(
  bytes: Buffer,
  engine: CsvEngine,
  limit: CutLimits,
  width: number,
  from = start,
  end: number | null = null,
): Promise<Pieces> {
  const source = countingSource(bytes)
  let out = 0
  const buffers = {
    take: (length: number) => {
      out++
      return Promise.resolve(new ArrayBuffer(Math.max(length, limit.chunkSize)))
    },
    give: () => void out--,
  }
  const pieces = { rows: [] as Row[], bad: [] as BadRecord[], ends: [] as number[] }
  let { byte, record, line } = from
  for await (const { range, buffer, length } of cut(source, engine, from, end, limit, buffers)) {
    expect([range.start, range.firstRecord, range.firstLine]).toEqual([byte, record, line])
    expect(range.end - range.start).toBe(length)
    expect(length).toBeGreaterThan(0)
    const piece = Buffer.from(buffer, 0, length)
    expect(piece.equals(bytes.subarray(range.start, range.end))).toBe(true)
    const { fields, bad } = engine.index(piece, width, range.records)
    expect(fields.rowCount + bad.length).toBe(range.records)
    pieces.rows.push(...rowsOf(fields))
    pieces.bad.push(
      ...bad.map((b) => ({ ...b, record: b.record + record - 1, byte: b.byte + byte })),
    )
    pieces.ends.push(range.end)
    byte = range.end
    record += range.records
    line += range.lines
    out--
  }
  expect(byte).toBe(end ?? bytes.length)
  expect(source.bytesRead).toBe(byte - from.byte)
  return { ...pieces, unreturned: out }
}

describe('cut', () => {
  test('gives the same rows wherever the chunks end', async () => {
    await fc.assert(
      fc.asyncProperty(csv, limits, async (input, limit) => {
        const width = input.rows[0]?.length ?? 1
        const pieces = await readInPieces(input.bytes, engineOf(input), limit, width)
        expect(pieces.rows).toEqual(input.rows)
        expect(pieces.bad).toEqual([])
        for (const end of pieces.ends) expect(input.starts).toContain(end)
      }),
      { numRuns: 400 },
    )
  })

  test('gives the rows that csv-parse reads from the whole input', async () => {
    await fc.assert(
      fc.asyncProperty(csv, limits, async (input, limit) => {
        const width = input.rows[0]?.length ?? 1
        const pieces = await readInPieces(input.bytes, engineOf(input), limit, width)
        const parsed: string[][] = parse(input.bytes, { record_delimiter: lineEnds[input.lineEnd] })
        expect(pieces.rows.map((row) => row.map((value) => value ?? ''))).toEqual(parsed)
      }),
      { numRuns: 200 },
    )
  })

  test('gives the same rows, bad records and places as an index of the whole input, for any bytes', async () => {
    const anything = fc.string({
      unit: fc.constantFrom(...'a,,"\n\n\r é'),
      maxLength: 200,
      size: 'max',
    })
    await fc.assert(
      fc.asyncProperty(anything, lineEnd, limits, fc.nat(3), async (text, end, limit, extra) => {
        const bytes = Buffer.from(text)
        const engine = engineOf({ lineEnd: end })
        const width = 1 + extra
        let records
        try {
          records = engine.scan(bytes, true).records
        } catch (error) {
          expect(error).toMatchObject({ code: 'SOURCE_UNTERMINATED_QUOTE' })
          await expect(readInPieces(bytes, engine, limit, width)).rejects.toMatchObject({
            code: 'SOURCE_UNTERMINATED_QUOTE',
            where: whereOf(error),
          })
          return
        }
        const whole = engine.index(bytes, width, records)
        const rows = rowsOf(whole.fields)
        expect(await readInPieces(bytes, engine, limit, width)).toMatchObject({
          rows,
          bad: whole.bad,
        })
      }),
      { numRuns: 1000 },
    )
  })

  test('takes a piece between two record boundaries as it takes the whole', async () => {
    await fc.assert(
      fc.asyncProperty(csv, limits, fc.nat(), fc.nat(), async (input, limit, a, b) => {
        const [first, last] = [a, b].map((n) => n % input.starts.length).sort((x, y) => x - y) as [
          number,
          number,
        ]
        const from = {
          byte: input.starts[first]!,
          record: first + 1,
          line: input.lines[first]! + 1,
        }
        const width = input.rows[0]?.length ?? 1
        const end = input.starts[last]!
        const pieces = await readInPieces(input.bytes, engineOf(input), limit, width, from, end)
        expect(pieces.rows).toEqual(input.rows.slice(first, last))
      }),
      { numRuns: 200 },
    )
  })

  test('does not end a chunk at a quoted line end, wherever the chunk would end', async () => {
    const quoted = ['"a\nb"', '"\n"', '"""\n"""', '"\r\n\n",c', '"a\n""\n"']
    for (const field of quoted) {
      for (let length = 1; length < 40; length++) {
        const text = `${'x'.repeat(length)}\n${field}\ny\n`
        const bytes = Buffer.from(text)
        const limit = { chunkSize: 32, chunkRecords: 1000, maxRecord: 1024 }
        const engine = engineOf({ lineEnd: 'lf' })
        const { ends } = await readInPieces(bytes, engine, limit, 1)
        const boundaries = [length + 1, text.length - 2, text.length]
        for (const end of ends) expect(boundaries, JSON.stringify(text)).toContain(end)
      }
    }
  })

  test('gives each buffer back once, or hands it out with a range', async () => {
    const engine = engineOf({ lineEnd: 'lf' })
    const limit = { chunkSize: 16, chunkRecords: 1000, maxRecord: 1024 }
    const short = await readInPieces(Buffer.from('a\nb\n'.repeat(20)), engine, limit, 1)
    expect(short.unreturned).toBe(0)
    const long = Buffer.from(`${'x'.repeat(100)}\na\n`)
    expect((await readInPieces(long, engine, limit, 1)).unreturned).toBe(0)
  })

  test('refuses a record that is longer than allowed, with its place', async () => {
    const limit = { chunkSize: 16, chunkRecords: 1000, maxRecord: 64 }
    const bytes = Buffer.from(`a\n"b\n"\n${'x'.repeat(80)}\nc\n`)
    const engine = engineOf({ lineEnd: 'lf' })
    await expect(readInPieces(bytes, engine, limit, 1)).rejects.toMatchObject({
      code: 'SOURCE_ROW_TOO_LARGE',
      where: { source: 'memory', record: 3, line: 4, byte: 7 },
    })
    const fits = Buffer.from(`a\n${'x'.repeat(63)}\nc\n`)
    expect((await readInPieces(fits, engine, limit, 1)).rows).toHaveLength(3)
  })
})

function whereOf(error: unknown): object {
  if (!(error instanceof SourceError)) throw error
  return { record: error.where?.record, line: error.where?.line, byte: error.where?.byte }
}

describe('the engine that indexes what it can quickly', () => {
  test('finds the same rows and the same bad records as byte by byte', () => {
    const text = fc.string({
      unit: fc.constantFrom(...'aaé,,"""\n\n\r'),
      maxLength: 60,
      size: 'max',
    })
    const odd = fc.constantFrom('a', 'a,b,c', 'a"b', '"a"b', '"a""b"', '', '\r', '\n', 'a\rb')
    let quick = 0
    let mixed = 0
    fc.assert(
      fc.property(
        text,
        csv,
        fc.array(fc.tuple(fc.nat(), odd), { maxLength: 3 }),
        fc.constantFrom<LineEnd>('lf', 'crlf', 'cr'),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom('loose', 'sound'),
        fc.record({
          nullText: fc.constantFrom('', 'a'),
          emptyLines: fc.constantFrom<CsvDialect['emptyLines']>('keep', 'skip'),
        }),
        (loose, sound, odds, end, loosely, which, options) => {
          const isSound = which === 'sound'
          const bytes = isSound ? withRecords(sound, odds) : Buffer.from(loose)
          const width = isSound ? (sound.rows[0]?.length ?? 1) : loosely
          const lineEnd = isSound ? sound.lineEnd : end
          const dialect = { ...defaultDialect, ...options, lineEnd }
          const found = fastEngine(dialect).index(bytes, width, 1)
          const slow = slowEngine(dialect).index(bytes, width, 1)
          const { rowCount, offsets } = found.fields
          const length = rowCount * width * 2
          expect(rowCount).toBe(slow.fields.rowCount)
          expect(offsets.slice(0, length)).toEqual(slow.fields.offsets.slice(0, length))
          expect(found.bad).toEqual(slow.bad)
          expect(found.skipped).toEqual(slow.skipped)
          if (isSound && rowCount > 1 && slow.bad.length === 0) quick++
          if (isSound && rowCount > 1 && slow.bad.length > 0) mixed++
        },
      ),
      { numRuns: 6000 },
    )
    expect(quick).toBeGreaterThan(300)
    expect(mixed).toBeGreaterThan(300)
  })
})

/** The bytes of a CSV with more records between its own. */
function withRecords(
  { bytes, starts, lineEnd }: Csv,
  records: readonly (readonly [number, string])[],
): Buffer {
  const pieces: Buffer[] = []
  let from = 0
  const places = records.map(([at, record]) => [starts[at % starts.length]!, record] as const)
  for (const [at, record] of places.toSorted((a, b) => a[0] - b[0])) {
    pieces.push(bytes.subarray(from, at), Buffer.from(record + lineEnds[lineEnd]))
    from = at
  }
  return Buffer.concat([...pieces, bytes.subarray(from)])
}

describe('a scan', () => {
  test.each([0, 1, 2, 3])(
    'finds the same records in bytes that begin %i beyond a word',
    (offset) => {
      const all = Buffer.from(new ArrayBuffer(16))
      for (let length = 0; length <= 12; length++) {
        const bytes = all.subarray(offset, offset + length).fill('a\n')
        const records = length >> 1
        const engine = engineOf({ lineEnd: 'lf' })
        expect(engine.scan(bytes, false)).toEqual({ end: 2 * records, records, lines: records })
      }
    },
  )

  test('finds the same records in sparse and in dense bytes', () => {
    fc.assert(
      fc.property(csv, (input) => {
        const engine = engineOf(input)
        const end = lineEnds[input.lineEnd]
        const filler = Buffer.from('x'.repeat(5000) + end)
        const scan = engine.scan(input.bytes, true)
        const sparse = engine.scan(Buffer.concat([filler, input.bytes]), true)
        expect(sparse).toEqual({
          end: filler.length + scan.end,
          records: 1 + scan.records,
          lines: 1 + scan.lines,
        })
        expect(scan.records).toBe(input.rows.length)
        expect(scan.lines).toBe(input.lines.at(-1))
      }),
      { numRuns: 60 },
    )
  })
})

describe('a place in a range', () => {
  test.each([
    ['fast', fastEngine],
    ['general', generalEngine],
  ])('is found for every record and every byte by the %s engine', (name, engineFor) => {
    fc.assert(
      fc.property(csv, (input) => {
        const engine = engineFor({ ...defaultDialect, lineEnd: input.lineEnd })
        const step = Math.ceil(input.bytes.length / 40)
        input.rows.forEach((_, record) => {
          const place = { byte: input.starts[record]!, record, lines: input.lines[record]! }
          expect(recordNumber(engine, input.bytes, record)).toEqual(place)
          for (let byte = place.byte; byte < input.starts[record + 1]!; byte += step) {
            expect(recordAt(engine, input.bytes, byte)).toEqual(place)
          }
        })
      }),
      { numRuns: name === 'fast' ? 300 : 20 },
    )
  })

  test('is found among records that are longer than the search steps', () => {
    const lengths = [1, 70_000, 3, 200_000, 65_536, 65_535, 0, 130_000, 2]
    const input = writeCsv(
      lengths.map((n) => [`"${'\n'.repeat(n)}`]),
      'lf',
      'ended',
      false,
    )
    lengths.forEach((_, record) => {
      const place = { byte: input.starts[record], record, lines: input.lines[record] }
      expect(recordNumber(engineOf(input), input.bytes, record)).toEqual(place)
    })
  })
})

describe('the place of a row that the server refuses', () => {
  test.each([
    ['fast', fastEngine],
    ['general', generalEngine],
  ])('is right where blank lines are skipped, by the %s engine', (_, engineFor) => {
    const dialect: CsvDialect = { ...defaultDialect, lineEnd: 'lf', emptyLines: 'skip' }
    const engine = engineFor(dialect)
    const bytes = Buffer.from('1\n\n\n2\nx\n')
    const { records, lines } = engine.scan(bytes, true)
    const range = { start: 10, end: 18, firstRecord: 2, firstLine: 3, records, lines }
    const input = { source: 'memory', dialect, fieldCount: 1 }
    const buffer = new Uint8Array(bytes).buffer
    const source = { range, buffer, length: bytes.length }
    const place = placeOfRow(2, { engine, input }, source)
    expect(place).toMatchObject({ line: 7, byte: 16 })
  })
})

describe('bad text', () => {
  const broken = [
    'ff',
    'c3',
    'c080',
    'eda080',
    'f4908080',
    '80',
    '8080808080',
    'e282',
    'f09f98',
    '00',
  ]

  test('is found in the first record that holds it', () => {
    const place = fc.tuple(fc.nat(), fc.constantFrom(...broken))
    fc.assert(
      fc.property(csv, fc.array(place, { minLength: 1, maxLength: 3 }), (input, places) => {
        fc.pre(input.rows.length > 0)
        const inserts = places
          .map(([n, hex]) => ({ record: n % input.rows.length, hex }))
          .sort((a, b) => b.record - a.record)
        let bytes = input.bytes
        for (const { record, hex } of inserts) {
          const at = input.starts[record]!
          bytes = Buffer.concat([
            bytes.subarray(0, at),
            Buffer.from(hex, 'hex'),
            Buffer.from('x'),
            bytes.subarray(at),
          ])
        }
        const first = inserts.at(-1)!.record
        const found = findBadText(engineOf(input), bytes)
        expect(found).toMatchObject({ record: first, byte: input.starts[first] })
      }),
      { numRuns: 500 },
    )
  })

  test('is found wherever in a record it stands', () => {
    const before = 'é,1\n"a\n€",2\n'
    for (const hex of broken) {
      for (let at = 0; at <= 7; at++) {
        const record = Buffer.from('abc,xyz')
        const bad = Buffer.concat([
          record.subarray(0, at),
          Buffer.from(hex, 'hex'),
          record.subarray(at),
        ])
        const bytes = Buffer.concat([Buffer.from(before), bad, Buffer.from('\nüü,3\n')])
        const found = findBadText(engineOf({ lineEnd: 'lf' }), bytes)
        expect(found, `${hex} at ${String(at)}`).toMatchObject({
          record: 2,
          byte: Buffer.byteLength(before),
        })
      }
    }
  })

  test('is not found in sound text', () => {
    fc.assert(
      fc.property(csv, (input) => findBadText(engineOf(input), input.bytes) === null),
      { numRuns: 200 },
    )
  })
})

describe('what remains', () => {
  test('is the complement of the claims, with the place of each gap', () => {
    const piece = fc.record({ length: fc.integer({ min: 1, max: 50 }), claimed: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }),
        fc.nat(20),
        fc.boolean(),
        (pieces, byte, isStream) => {
          const from = { byte, record: 2, line: 3 }
          let at = byte
          const claims: Claim[] = []
          const open = new Set<number>()
          for (const { length, claimed } of pieces) {
            const end = at + length
            if (claimed) claims.push(claimOf(at, end, from))
            else for (let b = at; b < end; b++) open.add(b)
            at = end
          }
          const gaps = remainingGaps(claims, from, isStream ? null : at)
          if (isStream) expect(gaps.at(-1)?.end).toBeNull()
          const remaining = gaps.flatMap((gap) => bytesOf(gap.from.byte, gap.end ?? at))
          expect(remaining).toEqual([...open])
          for (const gap of gaps) {
            expect(gap.from).toEqual(positionOf(gap.from.byte, from))
            if (gap.end !== null) expect(gap.end).toBeGreaterThan(gap.from.byte)
          }
        },
      ),
      { numRuns: 1000 },
    )
  })
})

/** As if every byte were a record of two lines. */
function positionOf(byte: number, from: Position): Position {
  const records = byte - from.byte
  return { byte, record: from.record + records, line: from.line + 2 * records }
}

function claimOf(first: number, end: number, from: Position): Claim {
  const { record, line } = positionOf(first, from)
  const read = end - first
  return {
    start: first,
    end,
    firstRecord: record,
    firstLine: line,
    lines: 2 * read,
    read,
    loaded: read,
    rejected: 0,
    checksum: 0,
  }
}

function bytesOf(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, i) => from + i)
}
