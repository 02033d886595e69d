import type { Fields } from '../chunk/fields.ts'
import type { ColumnInfo } from '../chunk/row-reader.ts'
import { cut } from '../source/csv/cut.ts'
import type { StageContext } from '../stage/stage.ts'
import { StageList } from '../stage/stage-list.ts'
import { queryText } from '../target/query.ts'
import { orAborted } from './abort.ts'
import { columnsOf } from './field-types.ts'
import { indexRange } from './index-range.ts'
import type { FieldInfo } from './lane-protocol.ts'
import type { JobRequest } from './prepare-job.ts'
import { sampleTypes } from './sample-types.ts'
import { sampleOf } from './stream-sample.ts'
import { withStages } from './with-stages.ts'

/** Opens the stages once before anything is noted: a job that cannot run is not begun. */
export async function tryStages(request: JobRequest, fields: readonly FieldInfo[]): Promise<void> {
  const list = new StageList(request.stages.stages, columnsOf(fields))
  const tried = withStages(list, contextOf(request), () => Promise.resolve())
  await orAborted(tried, request.settings.signal)
}

/** The columns behind the stages, all of them with a type: where nobody names it, the first values tell. */
export function typedColumns(
  request: JobRequest,
  fields: readonly FieldInfo[],
): Promise<readonly ColumnInfo[]> {
  const list = new StageList(request.stages.stages, columnsOf(fields))
  const { signal } = request.settings
  const sample = firstRows(request)
  return sampleTypes(list, fields, { context: contextOf(request), sample, signal })
}

/** What stages may ask while nothing is loaded yet. */
function contextOf({ client }: JobRequest): StageContext {
  return { query: (text, values = []) => queryText(client, text, values) }
}

/** The first rows of the input. */
async function* firstRows({ start, limits, buffers }: JobRequest): AsyncGenerator<Fields> {
  const { engine, data, fieldCount, dialect } = start
  const isFile = start.source.size !== null
  const source = isFile ? start.source : await sampleOf(start)
  for await (const piece of cut(source, engine, data, source.size, limits, buffers)) {
    const input = { source: source.name, dialect, fieldCount }
    try {
      yield indexRange(engine, input, piece)
    } finally {
      buffers.give(piece.buffer)
    }
    return
  }
}
