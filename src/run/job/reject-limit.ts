import type { Claim } from '../../checkpoint/claims.ts'
import { ConfigError, RejectError } from '../../core/errors.ts'

/** How many rows of an input may be rejected: a count, or a share of those that were read such as `1%`. */
export type MaxErrors = number | `${number}%`

/** A share is judged from so many records on, and at the end. */
const JUDGED_FROM = 1000

/** What is known of a committed range. */
type Counted = Pick<Claim, 'start' | 'end' | 'read' | 'rejected'>

/**
 * Judges how many rows of a job were rejected, in this run and those before it.
 *
 * Shape: a count is judged over all that is committed; a share over what is committed from the start of the input on
 *        without a gap, range by range in the order of the input. So the verdict is the same whichever lane is first, and
 *        after a restart.
 */
export class RejectLimit {
  readonly #limit: { readonly count: number } | { readonly share: number }
  readonly #given: MaxErrors
  /** Ranges that begin behind a gap, by their first byte. */
  readonly #waiting = new Map<number, Counted>()
  #end: number
  /** Up to `#end`. */
  #read = 0
  #rejected = 0
  /** In all. */
  #allRejected = 0

  /** `start` is where the records begin. Errors: CONFIG_BAD_VALUE. */
  constructor(given: MaxErrors, start: number) {
    this.#given = given
    this.#limit = parseMaxErrors(given)
    this.#end = start
  }

  /** Adds a committed range. Errors: REJECTED_TOO_MANY. */
  add(range: Counted): void {
    this.#allRejected += range.rejected
    if ('count' in this.#limit && this.#allRejected > this.#limit.count) throw this.#tooMany()
    this.#waiting.set(range.start, range)
    for (;;) {
      const next = this.#waiting.get(this.#end)
      if (next === undefined) return
      this.#waiting.delete(this.#end)
      this.#end = next.end
      this.#read += next.read
      this.#rejected += next.rejected
      if (this.#read >= JUDGED_FROM) this.#judgeShare()
    }
  }

  /** Rows, in all. */
  get rejected(): number {
    return this.#allRejected
  }

  /** Judges the whole of the input. Errors: REJECTED_TOO_MANY. */
  finish(): void {
    this.#judgeShare()
  }

  #judgeShare(): void {
    if ('share' in this.#limit && this.#rejected > this.#limit.share * this.#read) {
      throw this.#tooMany()
    }
  }

  #tooMany(): RejectError {
    const [rejected, of] =
      'count' in this.#limit
        ? [this.#allRejected, '']
        : [this.#rejected, ` of the first ${String(this.#read)}`]
    const message = `${String(rejected)} rows${of} were rejected, --max-errors allows ${String(this.#given)}`
    return new RejectError(message, [], {
      hint: 'mend what refuses them, or allow more with --max-errors, and run the same command again: it goes on from there',
    })
  }
}

/** Errors: CONFIG_BAD_VALUE. */
export function parseMaxErrors(
  given: MaxErrors,
): { readonly count: number } | { readonly share: number } {
  const text = String(given)
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1]
  if (percent !== undefined && Number(percent) <= 100) return { share: Number(percent) / 100 }
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return { count: Number(text) }
  throw new ConfigError(
    'CONFIG_BAD_VALUE',
    `--max-errors is ${text}, expected a count such as 100 or a share such as 1%`,
  )
}

/** What a limit means for a row that cannot be loaded: where none may be rejected, the first is the end of the load. */
export function fateOfRejects(given: MaxErrors): 'keep' | 'stop' {
  return /^0+(?:\.0+)?%?$/.test(String(given)) ? 'stop' : 'keep'
}
