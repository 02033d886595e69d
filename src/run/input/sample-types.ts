import { type Chunk, chunkOf, countRows } from '../../chunk/chunk.ts'
import { FieldText } from '../../chunk/column.ts'
import { decoderOf } from '../../chunk/decode.ts'
import type { Fields } from '../../chunk/fields.ts'
import type { ColumnInfo } from '../../chunk/row-reader.ts'
import type { Result } from '../../chunk/value.ts'
import type { StageContext } from '../../stage/stage.ts'
import { KeySets } from '../../stage/keys/key-sets.ts'
import type { AskKeys, StageList } from '../../stage/stage-list.ts'
import type { FieldInfo } from '../lanes/lane-protocol.ts'
import { batchesOf } from '../lanes/staged-range.ts'
import { withStages } from '../lanes/with-stages.ts'

/** What types are found with. */
export interface Sampling {
  readonly context: StageContext
  readonly sample: AsyncIterable<Fields>
  readonly signal: AbortSignal
}

/**
 * Opens the stages, and finds types for the columns behind them that have none: those that stages know once they are open,
 * else such as hold all that JavaScript's own types of the sample's values can be, so that later values fit too.
 *
 * Shape: the sample is only taken when it is needed; text where it tells nothing.
 */
export function sampleTypes(
  list: StageList,
  fields: readonly FieldInfo[],
  { context, sample, signal }: Sampling,
): Promise<ColumnInfo[]> {
  return withStages(list, context, async () => {
    const columns = list.openColumns
    const unknown = columns.filter(({ type }) => type === null)
    if (unknown.length === 0) return [...columns]
    const types = new Map<number, string>()
    const ask = throwAway(list)
    const decoders = fields.map(({ type }) => decoderOf(type))
    for await (const index of sample) {
      const text = new FieldText(index)
      for (const batch of batchesOf(index)) {
        signal.throwIfAborted()
        const { chunk } = await list.apply(chunkOf(batch, decoders, text), ask)
        noteTypes(chunk, unknown, types)
      }
    }
    return withTypes(columns, types)
  })
}

/** Answers for the sample alone. */
function throwAway(list: StageList): AskKeys {
  const sets = new KeySets(list.keySets)
  return (stage, set, keys) => Promise.resolve(sets.firsts({ stage, set }, keys, 1, []))
}

/** The columns with types for those that have none, which hold the values of a chunk. */
export function typedBy(chunk: Chunk, columns: readonly ColumnInfo[]): ColumnInfo[] {
  const types = new Map<number, string>()
  const unknown = columns.filter(({ type }) => type === null)
  noteTypes(chunk, unknown, types)
  return withTypes(columns, types)
}

/** Widens the types, by slot, to hold the values of a chunk too. */
function noteTypes(chunk: Chunk, columns: readonly ColumnInfo[], types: Map<number, string>): void {
  const count = countRows(chunk)
  for (const { slot } of columns) {
    const made = chunk.columns[slot]!
    for (let i = 0; i < count; i++) {
      const found = typeOf(made.value(chunk.selection?.[i] ?? i))
      const before = types.get(slot)
      if (found !== null) types.set(slot, (before ?? found) === found ? found : 'text')
    }
  }
}

function withTypes(
  columns: readonly ColumnInfo[],
  types: ReadonlyMap<number, string>,
): ColumnInfo[] {
  return columns.map((column) => ({
    ...column,
    type: column.type ?? types.get(column.slot) ?? 'text',
  }))
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
