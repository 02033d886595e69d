import type { Firsts, KeyBatch } from '../../stage/keys/key-batch.ts'
import type { AskKeys } from '../../stage/stage-list.ts'
import { aborted } from '../abort.ts'
import type { FromLane } from './lane-protocol.ts'

/** What the stages ask while a range goes through them. */
export interface RangeQuestions {
  readonly ask: AskKeys
  /** Waits for the turn of the range; it has it once something was answered. */
  turn(): Promise<void>
  /** Tells that the range has been through to its end. */
  end(): void
}

interface Waiting {
  resolve(answer: Firsts): void
  reject(error: Error): void
}

/** The questions of a lane that the run has not answered yet. */
export class LaneQuestions {
  readonly #report: (message: FromLane, transfer: ArrayBuffer[]) => void
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #passes = 0
  #failure: Error | null = null

  constructor(report: (message: FromLane, transfer: ArrayBuffer[]) => void) {
    this.#report = report
  }

  /** Begins a pass of a range through the stages; what it waits for is given up when `stop` is given. */
  begin(start: number, stop: AbortSignal): RangeQuestions {
    const pass = ++this.#passes
    let hasTurn = false
    const ask = async (stage: number, set: number, keys: KeyBatch | null): Promise<Firsts> => {
      const id = ++this.#asked
      const question = { id, start, pass, stage, set, keys }
      const answer = this.#wait(id, stop)
      this.#report({ type: 'ask', question }, keys === null ? [] : [keys.bytes.buffer])
      const found = await answer
      hasTurn = true
      return found
    }
    return {
      ask,
      async turn() {
        if (!hasTurn) await ask(0, 0, null)
      },
      end: () => this.#report({ type: 'staged', start }, []),
    }
  }

  /** Errors of who has asked: RUN_ABORTED where there is no answer. */
  answer(id: number, answer: Firsts | null): void {
    // Who has asked may be gone.
    if (answer === null) this.#waiting.get(id)?.reject(aborted())
    else this.#waiting.get(id)?.resolve(answer)
  }

  /** Nothing will be answered any more. */
  fail(error: Error): void {
    this.#failure = error
    for (const { reject } of [...this.#waiting.values()]) reject(error)
  }

  async #wait(id: number, stop: AbortSignal): Promise<Firsts> {
    if (this.#failure !== null) throw this.#failure
    let giveUp = (): void => undefined
    try {
      return await new Promise<Firsts>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject })
        giveUp = () => reject(aborted())
        if (stop.aborted) giveUp()
        else stop.addEventListener('abort', giveUp)
      })
    } finally {
      stop.removeEventListener('abort', giveUp)
      this.#waiting.delete(id)
    }
  }
}
