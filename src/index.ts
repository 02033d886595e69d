export {
  AbortedError,
  CheckpointError,
  ConfigError,
  MillraceError,
  SourceError,
  TargetError,
} from './core/errors.ts'
export type { ErrorCode, ServerFields, Where } from './core/errors.ts'
export type { Logger } from './core/log.ts'
export type { JobStatus } from './checkpoint/status.ts'
export type { CsvDialect, LineEnd } from './source/csv/dialect.ts'
export { query } from './target/query.ts'
export type { QueryResult } from './target/query.ts'
export type { EmbeddedServer } from './embedded/server.ts'
export {
  openEmbeddedServer,
  startEmbeddedServer,
  stopEmbeddedServer,
} from './run/embedded-server.ts'
export type { EmbeddedOptions } from './run/embedded-server.ts'
export { inspect } from './run/inspect.ts'
export type { InspectOptions, Inspection } from './run/inspect.ts'
export { load } from './run/load.ts'
export type { LoadOptions } from './run/options.ts'
export type { Progress } from './run/progress.ts'
export { status } from './run/status.ts'
export type { StatusOptions } from './run/status.ts'
export type { RowCounts, Summary } from './run/summary.ts'
export { VERSION } from './run/version.ts'
