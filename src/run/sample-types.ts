import { chunkOf, countRows } from '../chunk/chunk.ts'
import { decoderOf } from '../chunk/decode.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import type { Result } from '../chunk/value.ts'
import { StageList } from '../stage/stage-list.ts'
import type { AnyStage } from '../stage/stage.ts'
import type { CsvEngine } from '../source/csv/engine.ts'
import { columnsOf } from './field-types.ts'
import { indexRange } from './index-range.ts'
import type { FieldInfo, LaneInput, RangeBytes } from './lane-protocol.ts'

/**
 * Runs the stages over a range, and finds types for the columns behind them that have none: types that hold all that
 * JavaScript's own types of the values can be, so that later values fit too.
 */
export async function sampleTypes(
  engine: CsvEngine,
  input: LaneInput,
  fields: readonly FieldInfo[],
  stages: readonly AnyStage[],
  source: RangeBytes,
): Promise<ColumnInfo[]> {
  const list = new StageList(stages, columnsOf(fields))
  await list.open()
  try {
    const decoders = fields.map(({ type }) => decoderOf(type))
    const index = indexRange(engine, input, source)
    const { chunk } = await list.apply(chunkOf(index, decoders))
    const count = countRows(chunk)
    return list.columns.map((column) => {
      if (column.type !== null) return column
      const made = chunk.columns[column.slot]!
      let type: string | null = null
      for (let i = 0; i < count; i++) {
        const found = typeOf(made.value(chunk.selection?.[i] ?? i))
        if (found !== null) type = type === null || type === found ? found : 'text'
      }
      return { ...column, type: type ?? 'text' }
    })
  } finally {
    await list.close()
  }
}

function typeOf(value: Result): string | null {
  switch (typeof value) {
    case 'number':
      return 'double precision'
    case 'bigint':
      return 'bigint'
    case 'boolean':
      return 'boolean'
    case 'object':
      if (value === null) return null
      if (value instanceof Date) return 'timestamptz'
      return value instanceof Uint8Array ? 'bytea' : 'jsonb'
    case 'undefined':
      return null
    default:
      return 'text'
  }
}
