import type { CsvDialect } from './dialect.ts'
import type { CsvEngine } from './engine.ts'
import { fastEngine, isFastDialect } from './fast-engine.ts'

/** The engine for a dialect: the fast one wherever it reads it. Only the general one makes every thread load csv-parse. */
export async function selectEngine(dialect: CsvDialect): Promise<CsvEngine> {
  if (isFastDialect(dialect)) return fastEngine(dialect)
  const { generalEngine } = await import('./general-engine.ts')
  return generalEngine(dialect)
}
