import { chunkOf, countRows } from '../../src/chunk/chunk.ts'
import { decoderOf } from '../../src/chunk/decode.ts'
import type { Result } from '../../src/chunk/value.ts'
import { defaultDialect } from '../../src/source/csv/dialect.ts'
import { fastEngine } from '../../src/source/csv/fast-engine.ts'
import type { AnyStage, StageContext } from '../../src/stage/stage.ts'
import { KeySets } from '../../src/stage/keys/key-sets.ts'
import {
  type AskKeys,
  type StageFailure,
  StageList,
  type StageStats,
} from '../../src/stage/stage-list.ts'

export interface Passed {
  readonly columns: readonly string[]
  readonly types: readonly (string | null)[]
  readonly rows: readonly (readonly Result[])[]
  readonly stats: readonly StageStats[]
  readonly failures: readonly StageFailure[]
  /** By stage. */
  readonly facts: readonly unknown[]
  /** Of each row, the record of the input that it was made of. */
  readonly records: readonly number[]
}

/** Takes CSV without a header through stages; `types` are those of its fields, by name. */
export async function pass(
  csv: string,
  types: Readonly<Record<string, string>>,
  ...stages: readonly AnyStage[]
): Promise<Passed> {
  const [passed] = await passAll([csv], types, ...stages)
  return passed!
}

/** Takes several chunks through the same stages, one after the other. */
export async function passAll(
  chunks: readonly string[],
  types: Readonly<Record<string, string>>,
  ...stages: readonly AnyStage[]
): Promise<Passed[]> {
  const names = Object.keys(types)
  const infos = names.map((name, slot) => ({ name, type: types[name]!, slot }))
  const list = new StageList(stages, infos)
  try {
    await list.open(noServer)
    const passed: Passed[] = []
    const sets = new KeySets(list.keySets)
    const ask: AskKeys = (stage, set, keys) =>
      Promise.resolve(sets.firsts({ stage, set }, keys, passed.length + 1, []))
    for (const csv of chunks) passed.push(await passChunk(csv, infos, list, ask))
    return passed
  } finally {
    await list.close()
  }
}

const noServer: StageContext = {
  query: () => Promise.reject(new Error('there is no server to ask')),
  types: 'final',
}

async function passChunk(
  csv: string,
  infos: readonly { readonly type: string }[],
  list: StageList,
  ask: AskKeys,
): Promise<Passed> {
  const engine = fastEngine({ ...defaultDialect, lineEnd: 'lf' })
  const { fields, bad } = engine.index(Buffer.from(csv), infos.length, 16)
  if (bad[0] !== undefined) throw new Error(bad[0].reason)
  const decoders = infos.map(({ type }) => decoderOf(type))
  const { chunk, stats, failures, facts } = await list.apply(chunkOf(fields, decoders), ask)
  const rows: Result[][] = []
  const records: number[] = []
  for (let i = 0; i < countRows(chunk); i++) {
    const row = chunk.selection?.[i] ?? i
    rows.push(list.columns.map(({ slot }) => chunk.columns[slot]!.value(row)))
    records.push(chunk.records?.[row] ?? row)
  }
  return {
    columns: list.columns.map(({ name }) => name),
    types: list.columns.map(({ type }) => type),
    rows,
    stats,
    failures,
    facts,
    records,
  }
}
