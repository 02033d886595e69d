import type { Result } from '../../chunk/value.ts'
import { StageError, toError } from '../../core/errors.ts'
import { thrownBy } from '../fail-row.ts'
import type { Found, LookupSource } from './lookup.ts'

/** What a function of the user's is asked, and what it answers; nothing of it is certain. */
export type AskFunction = (keys: readonly unknown[]) => unknown

/**
 * Looks up by a function: asked once for all keys that are not known.
 *
 * Errors: STAGE_THREW when it throws or rejects, STAGE_VALUE for an answer that is not one result for each key. Both end the
 *         load: a function that fails on many keys cannot tell whose fault it is.
 */
export function functionSource(
  ask: AskFunction,
  columns: readonly string[],
  stage: string,
): LookupSource {
  const known = new Set(columns)
  const badAnswer = (what: string): StageError =>
    new StageError('STAGE_VALUE', `stage ${stage}: its lookup returned ${what}`, {
      hint: 'return an array with one result for each key, in the order of the keys: an object, or null for what is not found',
    })
  return {
    open: () =>
      Promise.resolve({
        async find(keys) {
          const given = keys.map(({ parts }) => (parts.length === 1 ? parts[0] : parts))
          const answer = await answerOf(ask, given, stage)
          if (!Array.isArray(answer)) throw badAnswer('no array')
          if (answer.length !== keys.length) {
            const counts = `${String(answer.length)} results for ${String(keys.length)} keys`
            throw badAnswer(counts)
          }
          return answer.map((result: unknown): Found => {
            if (result == null) return null
            if (typeof result !== 'object') throw badAnswer('a result that is no object')
            const stray = Object.keys(result).find((name) => !known.has(name))
            if (stray !== undefined) {
              throw badAnswer(
                `a key that is no column, ${JSON.stringify(stray)}: name it in \`columns\``,
              )
            }
            return columns.map((name) => (result as Readonly<Record<string, Result>>)[name])
          })
        },
      }),
  }
}

async function answerOf(ask: AskFunction, keys: readonly unknown[], stage: string) {
  try {
    return await ask(keys)
  } catch (thrown) {
    const cause = toError(thrown)
    throw new StageError('STAGE_THREW', `stage ${stage}: its lookup ${thrownBy(cause)}`, {
      cause,
      hint: 'try again what may pass in the function itself, and return null for what is not found; the same command goes on from there',
    })
  }
}
