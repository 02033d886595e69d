import { describe, expect, test } from 'vitest'
import { BINARY_HEADER, BINARY_TRAILER } from '../../../src/copy/binary/rows.ts'
import { asMessage, BlockPool } from '../../../src/copy/block-pool.ts'
import { type CopyPart, encodeChunk } from '../../../src/copy/encode-chunk.ts'
import { Kind } from '../../../src/copy/kinds.ts'
import { type CopyColumn, RowCursor, RowPlan } from '../../../src/copy/rows.ts'
import { copyParts } from '../../../src/target/copy-parts.ts'
import { RangeReader } from '../../../src/run/lanes/range-reader.ts'
import { StageList } from '../../../src/stage/stage-list.ts'
import { defaultDialect } from '../../../src/source/csv/dialect.ts'
import { fastEngine } from '../../../src/source/csv/fast-engine.ts'

interface Copied {
  readonly format: string
  readonly firstRow: number
  readonly data: Buffer
  readonly blocks: number
}

/** Encodes CSV as a lane does; gives the data of each COPY. */
async function encode(
  text: string,
  columns: readonly CopyColumn[],
  pool: BlockPool,
  emptyLines: 'keep' | 'skip' = 'keep',
): Promise<Copied[]> {
  const dialect = { ...defaultDialect, lineEnd: 'lf', emptyLines } as const
  const engine = fastEngine(dialect)
  const bytes = Buffer.from(text)
  const fieldCount = columns.length
  const { records, lines } = engine.scan(bytes, true)
  const range = { start: 0, end: bytes.length, firstRecord: 1, firstLine: 1, records, lines }
  const buffer = new Uint8Array(bytes).buffer
  const plan = new RowPlan(columns)
  const source = { range, buffer, length: bytes.length }
  const input = { source: 'test', dialect, fieldCount }
  const reader = new RangeReader({ engine, input, stages: new StageList([], []), fields: [], plan })
  const rows = reader.read(source, null)
  const parts: CopyPart[][] = []
  const data: Buffer[][] = []
  for await (const part of encodeChunk(rows, plan, new RowCursor(), pool)) {
    if (part.begins) {
      parts.push([])
      data.push([])
    }
    parts.at(-1)!.push(part)
    data.at(-1)!.push(contentOf(part))
    pool.give(part.block)
  }
  return parts.map((copy, i) => {
    expect(copy.map((part) => part.ends)).toEqual(copy.map((_, j) => j === copy.length - 1))
    expect(copy.map((part) => part.begins)).toEqual(copy.map((_, j) => j === 0))
    const { format, firstRow } = copy[0]!
    return { format, firstRow, data: Buffer.concat(data[i]!), blocks: copy.length }
  })
}

/** What a block's message carries. */
function contentOf({ block }: CopyPart): Buffer {
  const message = asMessage(block)
  expect(message[0]).toBe('d'.charCodeAt(0))
  expect(message.readInt32BE(1)).toBe(message.length - 1)
  return Buffer.from(message.subarray(5))
}

/** The tuples of COPY binary, fields as latin1, NULL as null. */
function tuples(data: Buffer): (string | null)[][] {
  expect(data.subarray(0, BINARY_HEADER.length)).toEqual(BINARY_HEADER)
  expect(data.subarray(-BINARY_TRAILER.length)).toEqual(BINARY_TRAILER)
  const rows: (string | null)[][] = []
  let at = BINARY_HEADER.length
  while (at < data.length - BINARY_TRAILER.length) {
    const count = data.readInt16BE(at)
    at += 2
    const row: (string | null)[] = []
    for (let i = 0; i < count; i++) {
      const length = data.readInt32BE(at)
      at += 4
      row.push(length < 0 ? null : data.toString('latin1', at, at + Math.max(0, length)))
      at += Math.max(0, length)
    }
    rows.push(row)
  }
  return rows
}

const text = (field: number): CopyColumn => ({ slot: field, kind: Kind.text })
const int4 = (field: number): CopyColumn => ({ slot: field, kind: Kind.int4 })

describe('a chunk', () => {
  test('goes as one binary COPY when all of its values are canonical', async () => {
    const [copy, ...others] = await encode(
      'a,1\n"",\n"b""c",3\n',
      [text(0), int4(1)],
      new BlockPool(4),
    )
    expect(others).toEqual([])
    expect(copy).toMatchObject({ format: 'binary', firstRow: 0, blocks: 1 })
    expect(tuples(copy!.data)).toEqual([
      ['a', '\0\0\0\x01'],
      ['', null],
      ['b"c', '\0\0\0\x03'],
    ])
  })

  test('goes on as text from the first row with a value that is not canonical', async () => {
    const copies = await encode('a,1\nb, 2\n"c\t\\",3\n,\n', [text(0), int4(1)], new BlockPool(4))
    expect(copies.map(({ format, firstRow }) => [format, firstRow])).toEqual([
      ['binary', 0],
      ['text', 1],
    ])
    expect(tuples(copies[0]!.data)).toEqual([['a', '\0\0\0\x01']])
    expect(copies[1]!.data.toString()).toBe('b\t 2\nc\\t\\\\\t3\n\\N\t\\N\n')
  })

  test('goes as text alone when its first row is not canonical or a type has no encoder', async () => {
    const first = await encode('x,1\ny,2\n', [int4(0), int4(1)], new BlockPool(4))
    expect(first.map(({ format, firstRow }) => [format, firstRow])).toEqual([['text', 0]])
    const server = [{ slot: 0, kind: Kind.server }, int4(1)]
    expect(await encode('x,1\n', server, new BlockPool(4))).toMatchObject([{ format: 'text' }])
  })

  test('without rows needs no COPY', async () => {
    expect(await encode('', [int4(0)], new BlockPool(4))).toEqual([])
    expect(await encode('\n\n', [int4(0)], new BlockPool(4), 'skip')).toEqual([])
  })

  test('takes the columns in the order of the COPY', async () => {
    const [copy] = await encode('a,b\nc,d\n', [text(1), text(0)], new BlockPool(4))
    expect(tuples(copy!.data)).toEqual([
      ['b', 'a'],
      ['d', 'c'],
    ])
  })

  test('fills block after block, whatever falls on a border', async () => {
    const row = (n: number): string => 'x'.repeat((n * 37) % 5000)
    const lines = Array.from({ length: 600 }, (_, n) => `"${row(n)}",${String(n)}\n`)
    const [copy, ...others] = await encode(lines.join(''), [text(0), int4(1)], new BlockPool(4))
    expect(others).toEqual([])
    expect(copy!.blocks).toBeGreaterThan(3)
    const sizes = tuples(copy!.data).map(([value]) => value?.length)
    expect(sizes).toEqual(lines.map((_, n) => row(n).length))
  })

  test.each(['binary', 'text'])(
    'grows a block for a row that no block holds, as %s',
    async (format) => {
      const long = 'y'.repeat(3_000_000)
      const quoted = `"${'é"",\n'.repeat(100_000)}"`
      const number = format === 'binary' ? '1' : ' 1'
      const pool = new BlockPool(2)
      const input = `a,${number}\n${long},2\n${quoted},3\nb,4\n`
      const [copy, ...others] = await encode(input, [text(0), int4(1)], pool)
      expect(others).toEqual([])
      expect(copy!.format).toBe(format)
      const plain = Buffer.from('é",\n'.repeat(100_000)).toString('latin1')
      if (format === 'binary') {
        const values = tuples(copy!.data).map(([value]) => value)
        expect(values.map((value) => value?.length)).toEqual([1, long.length, plain.length, 1])
        expect(values).toEqual(['a', long, plain, 'b'])
      } else {
        const expected = `a\t 1\n${long}\t2\n${plain.replaceAll('\n', '\\n')}\t3\nb\t4\n`
        expect(copy!.data.toString('latin1') === expected).toBe(true)
      }
      await expect(Promise.all([pool.take(), pool.take()])).resolves.toHaveLength(2)
    },
  )
})

describe('a pool of blocks', () => {
  test('lets a taker wait until a block comes back', async () => {
    const pool = new BlockPool(1)
    const block = await pool.take()
    let taken = false
    const waiting = pool.take().then(() => (taken = true))
    await Promise.resolve()
    expect(taken).toBe(false)
    pool.give(block)
    await waiting
    expect(taken).toBe(true)
  })

  test('tells who waits that it is closed', async () => {
    const pool = new BlockPool(1)
    await pool.take()
    const waiting = pool.take()
    pool.close()
    await expect(waiting).rejects.toThrow('the block pool is closed')
  })
})

test('copyParts gives the block back when its COPY cannot begin', async () => {
  const pool = new BlockPool(1)
  async function* parts(): AsyncGenerator<CopyPart> {
    const block = await pool.take()
    yield { format: 'text', block, firstRow: 0, begins: true, ends: true }
  }
  const refused = new Error('refused')
  const copied = (): Promise<number> => copyParts(parts(), pool, () => Promise.reject(refused))
  await expect(copied()).rejects.toBe(refused)
  await expect(copied()).rejects.toBe(refused)
})
