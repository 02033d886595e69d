import type { Chunk } from '../chunk/chunk.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import type { Row } from '../chunk/value.ts'
import { ConfigError } from '../core/errors.ts'
import { columnNamed } from './columns.ts'
import { withoutFailed } from './fail-row.ts'
import { keepRows } from './keep-rows.ts'
import type { Firsts } from './keys/key-batch.ts'
import { KeyReader, type NullKeys, type RowKeys } from './keys/key-reader.ts'
import type { BoundStage, Stage, StageReport } from './stage.ts'

const MEBIBYTE = 1 << 20

export interface DedupeOptions {
  /**
   * Rows with a NULL in their key: 'distinct' keeps them all, as a UNIQUE constraint does, 'equal' takes NULL for one more
   * value, as SELECT DISTINCT does; 'distinct' by default.
   */
  readonly nulls?: NullKeys | undefined
  /** Bytes that the keys may take in memory; 256 MiB by default. */
  readonly maxMemory?: number | undefined
}

/**
 * Keeps the first row of each key, in the order of the input; the others are counted as filtered.
 *
 * Shape:  `dedupe('id')`, `dedupe(['country', 'code'], { nulls: 'equal' })`. First is meant over the whole input of the job:
 *         over all lanes, and over all its runs, however they have ended. Whole keys are compared, never their hashes alone.
 *         Keys are equal where PostgreSQL's values of the column's type are: numbers by their value, dates and times in ISO
 *         form by the moment, uuid regardless of case; of other types, and of a stream whose table is made by the load and
 *         may still be widened, by their text.
 *         Stages before it have to give the same rows of the same input each time: a range may be taken through them again.
 *         What is in the table from before, or from another job, is not looked at: that is what a mode with a key is for.
 * Units:  the run holds all distinct keys, in the memory of the main thread: a key of 8 bytes takes 30 to 40. maxMemory may
 *         be another in each run of a job.
 * Errors: CONFIG_UNKNOWN_COLUMN, CONFIG_BAD_VALUE. STAGE_LIMIT at the row for whose key there is no memory left. STAGE_CAST for
 *         a key that is no value of its column's type.
 * Why:    NULLs are distinct by default: rows whose key is missing are not known to be the same, and would be gone.
 */
export function dedupe<In extends object = Row>(
  key: (keyof In & string) | readonly (keyof In & string)[],
  options: DedupeOptions = {},
): Stage<In, In> {
  const names = typeof key === 'string' ? [key] : [...key]
  const { nulls = 'distinct', maxMemory = 256 * MEBIBYTE } = options
  if (names.length === 0) throw badOption('it has no key')
  if (!['equal', 'distinct'].includes(nulls)) {
    throw badOption(`nulls is ${JSON.stringify(nulls)}, expected equal or distinct`)
  }
  requireMemory('dedupe', maxMemory)
  return {
    name: 'dedupe',
    identity: { key: names, nulls },
    wire: { stage: 'dedupe', options: { key: names, options: { nulls, maxMemory } } },
    keySets: [{ maxMemory }],
    bind(columns) {
      const infos = names.map((name) => columnNamed(columns, name, 'dedupe'))
      return bindDedupe(columns, infos, nulls, maxMemory)
    },
  }
}

/** Errors: CONFIG_BAD_VALUE. */
export function requireMemory(stage: string, bytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes >= MEBIBYTE) return
  const message = `${stage}: maxMemory is ${String(bytes)}, expected bytes, at least ${String(MEBIBYTE)}`
  throw new ConfigError('CONFIG_BAD_VALUE', message)
}

function badOption(what: string): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `dedupe: ${what}`)
}

function bindDedupe(
  columns: readonly ColumnInfo[],
  infos: readonly ColumnInfo[],
  nulls: NullKeys,
  maxMemory: number,
): BoundStage {
  const names = infos.map(({ name }) => name)
  let reader = new KeyReader(infos, nulls, 'value')
  return {
    columns,
    open({ types }) {
      // Under a wider type the same text may be another value: what is known of earlier rows would not hold any more.
      reader = new KeyReader(infos, nulls, types === 'widening' ? 'text' : 'value')
      return Promise.resolve()
    },
    async apply(chunk, report) {
      const asked = reader.read(chunk, report)
      const sound = withoutFailed(chunk, report)
      if (asked.rows.length === 0) return sound
      const found = await report.firsts(0, asked.keys)
      if (found.full >= 0) {
        const row = asked.rows[found.full]!
        const reason = `the keys before it take all of the ${String(maxMemory)} bytes that maxMemory allows`
        report.fail({ row, code: 'STAGE_LIMIT', reason, columns: names })
      }
      return keepFirsts(sound, asked, found, report)
    },
  }
}

function keepFirsts(
  chunk: Chunk,
  { rows }: RowKeys,
  { firsts }: Firsts,
  report: StageReport,
): Chunk {
  const dropped = new Uint8Array(chunk.rowCount)
  for (let i = 0; i < rows.length; i++) if (firsts[i] === 0) dropped[rows[i]!] = 1
  const kept = keepRows(
    chunk,
    (row) => dropped[row] === 0,
    () => undefined, // it does not throw
  )
  return withoutFailed(kept, report)
}
