import type { Fields } from '../../chunk/fields.ts'
import type { ColumnInfo } from '../../chunk/row-reader.ts'
import { cut } from '../../source/csv/cut.ts'
import type { StageContext } from '../../stage/stage.ts'
import { StageList } from '../../stage/stage-list.ts'
import { orAborted } from '../abort.ts'
import { columnsOf } from '../job/field-types.ts'
import { indexSound } from '../lanes/index-range.ts'
import type { FieldInfo } from '../lanes/lane-protocol.ts'
import type { JobRequest } from '../job/prepare-job.ts'
import { sampleTypes } from '../input/sample-types.ts'
import { fateOfRejects } from '../job/reject-limit.ts'
import { StageConnection } from './stage-connection.ts'
import { sampleOf } from '../input/stream-sample.ts'
import { withStages } from '../lanes/with-stages.ts'

/** Opens the stages once before anything is noted: a job that cannot run is not begun. */
export function tryStages(request: JobRequest, fields: readonly FieldInfo[]): Promise<void> {
  const list = new StageList(request.stages.stages, columnsOf(fields))
  return withContext(request, (context) => withStages(list, context, () => Promise.resolve()))
}

/** The columns behind the stages, all of them with a type: where nobody names it, the first values tell. */
export function typedColumns(
  request: JobRequest,
  fields: readonly FieldInfo[],
): Promise<readonly ColumnInfo[]> {
  const list = new StageList(request.stages.stages, columnsOf(fields))
  const { signal } = request.settings
  const sample = firstRows(request)
  return withContext(request, (context) => sampleTypes(list, fields, { context, sample, signal }))
}

/** Works with what stages may ask while nothing is loaded yet; not for longer than the run is wanted. */
async function withContext<T>(
  { connection, settings }: JobRequest,
  work: (context: StageContext) => Promise<T>,
): Promise<T> {
  const queries = new StageConnection(connection, settings.retryFor)
  const context: StageContext = {
    query: (text, values) => queries.query(text, values),
    types: 'final',
  }
  try {
    return await orAborted(work(context), settings.signal)
  } finally {
    await queries.close()
  }
}

/** The first rows of the input. */
async function* firstRows({
  start,
  limits,
  buffers,
  settings,
}: JobRequest): AsyncGenerator<Fields> {
  const { engine, data, fieldCount, dialect } = start
  const isFile = start.source.size !== null
  const source = isFile ? start.source : await sampleOf(start)
  for await (const piece of cut(source, engine, data, source.size, limits, buffers)) {
    const rejects = fateOfRejects(settings.maxErrors)
    const input = { source: source.name, dialect, fieldCount, rejects }
    try {
      yield indexSound(engine, input, piece)
    } finally {
      buffers.give(piece.buffer)
    }
    return
  }
}
