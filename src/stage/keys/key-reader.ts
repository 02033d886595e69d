import { type Chunk, countRows } from '../../chunk/chunk.ts'
import { type Column, FieldColumn } from '../../chunk/column.ts'
import type { ColumnInfo } from '../../chunk/row-reader.ts'
import { failRow } from '../fail-row.ts'
import type { StageReport } from '../stage.ts'
import { textOf } from '../text-of.ts'
import { type KeyBatch, KeyWriter } from './key-batch.ts'
import { type KeyForm, keyFormOf } from './key-form.ts'

/** Whether NULLs are one value, or as many as there are: then a row with one in its key has no equal. */
export type NullKeys = 'equal' | 'distinct'

/** The keys of a chunk. */
export interface RowKeys {
  readonly keys: KeyBatch
  /** By key, its row. */
  readonly rows: Int32Array
}

/** Reads the keys of the rows of chunks, as bytes that are the same where the keys are. */
export class KeyReader {
  readonly #infos: readonly ColumnInfo[]
  readonly #forms: readonly KeyForm[]
  readonly #nulls: NullKeys
  readonly #byText: boolean
  readonly #writer = new KeyWriter()

  /** By `text`, what stands in the input is compared, whatever the types of its fields are. */
  constructor(infos: readonly ColumnInfo[], nulls: NullKeys, by: 'value' | 'text') {
    this.#infos = infos
    this.#forms = infos.map(({ type }) => keyFormOf(type ?? 'text'))
    this.#nulls = nulls
    this.#byText = by === 'text'
  }

  /** Rows whose key has a NULL in it are left out where NULLs are distinct; rows that have none are given up. */
  read(chunk: Chunk, report: StageReport): RowKeys {
    const { selection } = chunk
    const count = countRows(chunk)
    const columns = this.#infos.map(({ slot }) => chunk.columns[slot]!)
    const rows = new Int32Array(count)
    let length = 0
    this.#writer.begin(count)
    for (let i = 0; i < count; i++) {
      const row = selection === null ? i : selection[i]!
      try {
        if (this.#put(columns, row)) {
          this.#writer.endKey()
          rows[length++] = row
          continue
        }
      } catch (error) {
        const touched = (): string[] => this.#infos.map(({ name }) => name)
        failRow(report, row, { touched }, error)
      }
      this.#writer.dropKey()
    }
    return { keys: this.#writer.end(), rows: rows.subarray(0, length) }
  }

  /** Writes a key; false where NULL has no equal. */
  #put(columns: readonly Column[], row: number): boolean {
    for (let c = 0; c < columns.length; c++) {
      const column = columns[c]!
      if (column.isNull(row)) {
        if (this.#nulls === 'distinct') return false
        this.#writer.putNull()
      } else if (column instanceof FieldColumn) this.#putField(column, row, this.#forms[c]!)
      else this.#writer.putText(this.#forms[c]!.of(textOf(column.value(row)!)))
    }
    return true
  }

  #putField(column: FieldColumn, row: number, form: KeyForm): void {
    const { bytes, offsets, fieldCount } = column.fields
    const k = (row * fieldCount + column.field) * 2
    const from = offsets[k]!
    const to = offsets[k + 1]!
    const asIs = form.asIs || this.#byText
    if (to >= 0 && (asIs || (to - from <= form.plainDigits && isPlain(bytes, from, to)))) {
      this.#writer.putBytes(bytes, from, to)
    } else if (asIs) this.#writer.putText(column.text(row)!)
    else this.#writer.putText(form.of(valueText(column, row)))
  }
}

/** The text of a field that is a value of its column's type. Errors: BadText. */
function valueText(column: FieldColumn, row: number): string {
  const value = column.value(row)!
  if (typeof value !== 'number' || Number.isFinite(value)) return textOf(value)
  return String(value).toLowerCase()
}

/** Whether text is digits without a leading zero: what a number is written as already. */
function isPlain(bytes: Buffer, from: number, to: number): boolean {
  const first = bytes[from]!
  if (first < 49 || first > 57) return first === 48 && to - from === 1
  for (let i = from + 1; i < to; i++) if (bytes[i]! < 48 || bytes[i]! > 57) return false
  return true
}
