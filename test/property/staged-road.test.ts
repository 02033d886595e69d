import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Result } from '../../src/chunk/value.ts'
import { decodeText } from '../../src/chunk/decode.ts'
import { ResidentRows } from '../../src/copy/binary/resident-rows.ts'
import { asMessage, BlockPool } from '../../src/copy/block-pool.ts'
import { encodeChunk } from '../../src/copy/encode-chunk.ts'
import { Kind, kindOf } from '../../src/copy/kinds.ts'
import { type CopyColumn, RowCursor, RowPlan } from '../../src/copy/rows.ts'
import { StagedRange } from '../../src/run/lanes/staged-range.ts'
import { defaultDialect } from '../../src/source/csv/dialect.ts'
import { fastEngine } from '../../src/source/csv/fast-engine.ts'
import { derive } from '../../src/stage/derive.ts'
import { filter } from '../../src/stage/filter.ts'
import { StageList } from '../../src/stage/stage-list.ts'
import { typeCases } from '../helpers/field-texts.ts'

/** What a range becomes: the data of each COPY, and how it ended. */
interface Encoded {
  readonly copies: readonly { readonly format: string; readonly data: Buffer }[]
  readonly rows: number
  readonly error: string | null
}

/** What the stages do: which rows they keep, and what they put into each column of their own. */
interface Work {
  readonly kept: readonly boolean[]
  readonly made: readonly { readonly kind: Kind; readonly values: readonly Result[] }[]
}

interface Sizes {
  readonly windowBytes: number
  readonly valueBytes: number
}

const engine = fastEngine({ ...defaultDialect, lineEnd: 'lf' })

async function encode(
  text: string,
  kinds: readonly Kind[],
  { kept, made }: Work,
  sizes: Sizes | null,
): Promise<Encoded> {
  const bytes = Buffer.from(text)
  const width = kinds.length
  let row = -1
  let at = 0
  const list = new StageList(
    [
      filter(() => kept[++row % kept.length]!),
      derive(
        Object.fromEntries(
          made.map(({ values }, i) => [`made${String(i)}`, () => values[at++ % values.length]]),
        ),
      ),
    ],
    kinds.map((_, slot) => ({ name: `c${String(slot)}`, type: 'text', slot })),
  )
  const columns: CopyColumn[] = list.columns.map(({ slot }) => ({
    slot,
    kind: kinds[slot] ?? made[slot - width]!.kind,
  }))
  const plan = new RowPlan(columns)
  const range = new StagedRange(
    {
      bytes,
      records: 0,
      checksum: 0,
      resident: sizes && new ResidentRows(engine.structure!, width, plan, sizes),
      index(byte) {
        const { fields, bad } = engine.index(bytes.subarray(byte), width, 1)
        if (bad[0] !== undefined) throw new Error('a bad record')
        return fields
      },
      errorOf: ({ reason }) => new Error(reason),
      asked: null,
    },
    kinds.map(() => decodeText),
    list,
  )
  const copies: { format: string; pieces: Buffer[] }[] = []
  const pool = new BlockPool(4)
  let error: string | null = null
  try {
    for await (const part of encodeChunk(range, plan, new RowCursor(), pool)) {
      if (part.begins) copies.push({ format: part.format, pieces: [] })
      copies.at(-1)!.pieces.push(Buffer.from(asMessage(part.block).subarray(5)))
      pool.give(part.block)
    }
  } catch (thrown) {
    error = (thrown as Error).message
  }
  const done = copies.map(({ format, pieces }) => ({ format, data: Buffer.concat(pieces) }))
  return { copies: done, rows: range.count, error }
}

const texts = fc.oneof(...typeCases.map((type) => type.texts))
const kinds = fc.constantFrom(...Object.values(Kind).filter((kind) => kind !== Kind.server))
const sizes = fc.record({
  windowBytes: fc.constantFrom(20, 100, 65536),
  valueBytes: fc.constantFrom(300, 131072),
})
const results: fc.Arbitrary<Result> = fc.oneof(
  texts,
  fc.constantFrom(null, undefined, true, false, new Date(0), new Date(1e15), [1], { a: 'é' }),
  fc.integer(),
  fc.double(),
  fc.double({ min: -1e6, max: 1e6 }).map((value) => Math.round(value * 100) / 100),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
  fc.string({ maxLength: 40, unit: 'binary' }),
  fc.uint8Array({ maxLength: 5 }),
)
const work = fc.record({
  kept: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
  made: fc.array(
    fc.record({ kind: kinds, values: fc.array(results, { minLength: 1, maxLength: 3 }) }),
    { maxLength: 2 },
  ),
})

function written(text: string | null): string {
  if (text === null) return ''
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

async function compare(
  text: string,
  fieldKinds: readonly Kind[],
  stages: Work,
  small: Sizes,
): Promise<number> {
  const [resident, plain] = [
    await encode(text, fieldKinds, stages, small),
    await encode(text, fieldKinds, stages, null),
  ]
  // Of two rows that cannot be taken, a stage's and the engine's, either may be met first.
  expect(resident.error === null).toBe(plain.error === null)
  if (plain.error !== null) return 0
  expect(resident.rows).toBe(plain.rows)
  expect(resident.copies.map(({ format }) => format)).toEqual(
    plain.copies.map(({ format }) => format),
  )
  resident.copies.forEach(({ data }, i) => {
    expect(data.equals(plain.copies[i]!.data)).toBe(true)
  })
  return resident.rows
}

describe('the road of rows that stages have seen', () => {
  test('writes in the kernel what it writes over an index, for values of every type', async () => {
    const column = fc.constantFrom(...typeCases.filter(({ type }) => kindOf(type) !== Kind.server))
    const table = fc
      .array(column, { minLength: 1, maxLength: 3 })
      .chain((columns) =>
        fc.tuple(
          fc.constant(columns.map(({ type }) => kindOf(type))),
          fc.array(
            fc.tuple(
              ...columns.map((one) =>
                fc.option(fc.oneof({ weight: 9, arbitrary: one.texts }, texts)),
              ),
            ),
            { maxLength: 8 },
          ),
        ),
      )
    let rows = 0
    await fc.assert(
      fc.asyncProperty(table, work, sizes, async ([fieldKinds, lines], stages, small) => {
        const text = lines.map((line) => `${line.map(written).join(',')}\n`).join('')
        rows += await compare(text, fieldKinds, stages, small)
      }),
      { numRuns: 3000 },
    )
    expect(rows).toBeGreaterThan(1000)
  })

  test('writes in the kernel what it writes over an index, for any bytes', async () => {
    const bytes = fc.string({
      unit: fc.constantFrom(...'12,,""\n\n.-a0é'),
      maxLength: 60,
      size: 'max',
    })
    const fieldKinds = fc.array(kinds, { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(bytes, fieldKinds, work, sizes, async (text, columns, stages, small) => {
        await compare(`${text}\n`, columns, stages, small)
      }),
      { numRuns: 3000 },
    )
  })
})
