import type { StageContext } from '../../stage/stage.ts'
import type { StageList } from '../../stage/stage-list.ts'

/** Opens the stages for some work, and closes them behind it; when both fail, both are told. */
export async function withStages<T>(
  stages: StageList,
  context: StageContext,
  work: () => Promise<T>,
): Promise<T> {
  let result: T
  try {
    await stages.open(context)
    result = await work()
  } catch (error) {
    await stages.close().catch((failure: unknown) => {
      throw new AggregateError([error, failure], 'a stage failed to close after a failure')
    })
    throw error
  }
  await stages.close()
  return result
}
