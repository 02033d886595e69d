import type { CsvDialect } from './dialect.ts'
import type { CsvEngine } from './engine.ts'
import { fastEngine, isFastDialect } from './fast-engine.ts'
import { generalEngine } from './general-engine.ts'

/** The engine for a dialect: the fast one wherever it reads it. */
export function selectEngine(dialect: CsvDialect): CsvEngine {
  return isFastDialect(dialect) ? fastEngine(dialect) : generalEngine(dialect)
}
