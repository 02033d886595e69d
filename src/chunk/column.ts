import { isAscii } from 'node:buffer'
import { type AsciiText, type Decode, decodeText, NOT_ASCII } from './decode.ts'
import type { Fields } from './fields.ts'
import { unquote } from './unquote.ts'
import type { Result, Value } from './value.ts'

/** A column over the rows of a chunk. */
export type Column = FieldColumn | ValueColumn

/** Text of the input that is no value of its column's type. */
export class BadText extends Error {
  constructor(length: number) {
    super(`its text of ${String(length)} bytes is none`)
  }
}

/** The bytes of a range, and what all columns of its fields need to read them. */
export class FieldText implements AsciiText {
  readonly #bytes: Buffer
  readonly #quote: number
  #ascii: string | null | undefined
  #scratch = Buffer.alloc(0)

  constructor({ bytes, quote }: Fields) {
    this.#bytes = bytes
    this.#quote = quote
  }

  /** The bytes as a string, null where one of them is not ASCII: a piece of a string is cheaper than one of bytes. */
  get ascii(): string | null {
    if (this.#ascii === undefined) {
      this.#ascii = isAscii(this.#bytes) ? this.#bytes.toString('latin1') : null
    }
    return this.#ascii
  }

  /** The text of a raw field, without its quotes. */
  unquoted(from: number, to: number): Buffer {
    if (this.#scratch.length < to - from) this.#scratch = Buffer.allocUnsafe((to - from) * 2)
    const length = unquote(this.#bytes, from, to, this.#quote, this.#scratch, 0)
    return this.#scratch.subarray(0, length)
  }
}

/** A field of each record of the input: bytes, until a stage asks for a value. */
export class FieldColumn {
  readonly fields: Fields
  readonly field: number
  readonly #text: FieldText
  readonly #decode: Decode

  constructor(fields: Fields, text: FieldText, field: number, decode: Decode) {
    this.fields = fields
    this.field = field
    this.#text = text
    this.#decode = decode
  }

  isNull(row: number): boolean {
    const { offsets, fieldCount } = this.fields
    return offsets[(row * fieldCount + this.field) * 2]! < 0
  }

  /** Errors: BadText. */
  value(row: number): Value {
    const { bytes, offsets, fieldCount } = this.fields
    const k = (row * fieldCount + this.field) * 2
    const from = offsets[k]!
    if (from < 0) return null
    const to = offsets[k + 1]!
    if (to < 0) return this.#quotedValue(from, ~to)
    const value = this.#decode(bytes, this.#text, from, to)
    if (value === undefined) throw new BadText(to - from)
    return value
  }

  /** Bytes of the text as it stands in the input, quotes included; 0 for NULL. */
  size(row: number): number {
    const { offsets, fieldCount } = this.fields
    const k = (row * fieldCount + this.field) * 2
    const from = offsets[k]!
    const to = offsets[k + 1]!
    return (to < 0 ? ~to : to) - from
  }

  /** The text as it stands in the input, whatever the column's type; null for NULL. */
  text(row: number): string | null {
    const { bytes, offsets, fieldCount } = this.fields
    const k = (row * fieldCount + this.field) * 2
    const from = offsets[k]!
    if (from < 0) return null
    const to = offsets[k + 1]!
    if (to >= 0) return decodeText(bytes, this.#text, from, to)
    return this.#text.unquoted(from, ~to).toString()
  }

  #quotedValue(from: number, to: number): Value {
    const bytes = this.#text.unquoted(from, to)
    const value = this.#decode(bytes, NOT_ASCII, 0, bytes.length)
    if (value === undefined) throw new BadText(bytes.length)
    return value
  }
}

/** What a stage has computed for each row; rows that are not in the chunk's selection may hold anything. */
export class ValueColumn {
  readonly values: readonly Result[]

  constructor(values: readonly Result[]) {
    this.values = values
  }

  isNull(row: number): boolean {
    return this.values[row] == null
  }

  value(row: number): Result {
    return this.values[row] ?? null
  }

  /** Characters of the text. */
  size(row: number): number {
    return this.text(row)?.length ?? 0
  }

  /** The value as text; null for NULL. */
  text(row: number): string | null {
    const value = this.values[row]
    if (value == null) return null
    return value instanceof Date ? value.toISOString() : String(value)
  }
}

/**
 * Room for the values of some columns.
 *
 * Why no map(): V8 gives it arrays of another elements kind once it has optimized the caller, and then all that it has
 *      optimized for the first kind is compiled anew: 0.2 s of CPU in a load.
 */
export function valueArrays(columns: number, rowCount: number): Result[][] {
  const arrays: Result[][] = []
  for (let c = 0; c < columns; c++) arrays.push(new Array<Result>(rowCount))
  return arrays
}
