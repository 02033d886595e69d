export {
  AbortedError,
  CheckpointError,
  ConfigError,
  MillraceError,
  OutputError,
  QualityError,
  RejectError,
  SourceError,
  StageError,
  TargetError,
} from './core/errors.ts'
export type { BrokenRule, ErrorCode, RejectReason, ServerFields, Where } from './core/errors.ts'
export type { Logger } from './core/log.ts'
export type { RejectGroup } from './checkpoint/kept-rejects.ts'
export type { ReplayCounts } from './checkpoint/replays.ts'
export type { JobStatus } from './checkpoint/status.ts'
export type { CsvDialect, LineEnd } from './source/csv/dialect.ts'
export { cast } from './stage/cast.ts'
export type { Cast } from './stage/cast.ts'
export { dedupe } from './stage/dedupe.ts'
export type { DedupeOptions } from './stage/dedupe.ts'
export { derive } from './stage/derive.ts'
export type { Derivation } from './stage/derive.ts'
export type { Firsts, KeyBatch } from './stage/keys/key-batch.ts'
export type { KeyLimits } from './stage/keys/key-sets.ts'
export { enrich } from './stage/enrich.ts'
export type {
  CsvLookup,
  Enrichment,
  FunctionLookup,
  KeyPart,
  LookupColumns,
  LookupResults,
  Missing,
  TableLookup,
} from './stage/lookup/enrichment.ts'
export { filter } from './stage/filter.ts'
export { flatMap } from './stage/flat-map.ts'
export { hash } from './stage/hash.ts'
export { map } from './stage/map.ts'
export type { MapOptions } from './stage/map.ts'
export { mask } from './stage/mask.ts'
export type { Mask } from './stage/mask.ts'
export { quality } from './stage/quality.ts'
export type { QualityOptions } from './stage/quality.ts'
export type { Finding, Measure } from './stage/quality/finding.ts'
export type { Bound, QualityRules } from './stage/quality/rules.ts'
export { rename } from './stage/rename.ts'
export type { MadeColumns } from './stage/row-builder.ts'
export { select } from './stage/select.ts'
export type {
  AnyStage,
  BoundStage,
  QueryValue,
  RowFailure,
  Stage,
  StageContext,
  StageReport,
  TargetQueries,
  TextRow,
} from './stage/stage.ts'
export type { StageStats } from './stage/stage-list.ts'
export { stagesFor } from './stage/stages-for.ts'
export { validate } from './stage/validate.ts'
export type { Rules, StandardSchema } from './stage/validate.ts'
export { where } from './stage/where.ts'
export type { Condition } from './stage/where.ts'
export type { Chunk } from './chunk/chunk.ts'
export { ValueColumn } from './chunk/column.ts'
export type { Column } from './chunk/column.ts'
export type { ColumnInfo } from './chunk/row-reader.ts'
export type { Result, Row, RowOf, Value, ValueOf } from './chunk/value.ts'
export type { PgClient, PgPool } from './target/pool.ts'
export { query } from './target/query.ts'
export type { QueryResult } from './target/query.ts'
export type { EmbeddedServer } from './embedded/server.ts'
export {
  openEmbeddedServer,
  startEmbeddedServer,
  stopEmbeddedServer,
} from './run/embedded-server.ts'
export type { EmbeddedOptions } from './run/embedded-server.ts'
export { copyRows } from './run/streams/copy-rows.ts'
export type { CopyRowsOptions, RowsTarget } from './run/streams/copy-rows.ts'
export { inspect } from './run/inspect.ts'
export type { InspectOptions, Inspection } from './run/inspect.ts'
export { load } from './run/load.ts'
export type { LoadOptions } from './run/options.ts'
export type { MaxErrors } from './run/job/reject-limit.ts'
export type { StageOption } from './run/stages/stage-source.ts'
export type { Progress } from './run/progress.ts'
export { exportRejects } from './run/rejects/export.ts'
export type { ExportRejectsOptions } from './run/rejects/export.ts'
export { listRejects } from './run/rejects/list.ts'
export type { ListRejectsOptions } from './run/rejects/list.ts'
export { replayRejects } from './run/rejects/replay.ts'
export type { ReplayOptions, ReplaySummary } from './run/rejects/replay.ts'
export { csv } from './run/streams/csv-input.ts'
export type { CsvInput, CsvOptions, RowOfInput } from './run/streams/csv-input.ts'
export { fromRows } from './run/streams/rows-input.ts'
export type { RowsInput, RowsOptions } from './run/streams/rows-input.ts'
export type { StreamChunk } from './run/streams/stream-chunk.ts'
export { tableWriter } from './run/streams/table-writer.ts'
export type { TableWriter, TableWriterOptions } from './run/streams/table-writer.ts'
export { through } from './run/streams/through.ts'
export type { StageStream, ThroughOptions } from './run/streams/through.ts'
export { status } from './run/status.ts'
export type { StatusOptions } from './run/status.ts'
export type { RowCounts, Summary } from './run/summary.ts'
export { VERSION } from './run/version.ts'
