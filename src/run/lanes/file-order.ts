import type { Firsts } from '../../stage/keys/key-batch.ts'
import type { KeyOwner } from '../../stage/keys/key-set.ts'
import type { KeySets } from '../../stage/keys/key-sets.ts'
import type { KeyQuestion } from './lane-protocol.ts'

/** Takes the answer; null when there will be none. */
type OnAnswer = (answer: Firsts | null) => void

const NOTHING: Firsts = { firsts: new Uint8Array(0), full: -1 }

/** A range that a lane has, until all of its questions are answered for good. */
interface Turn {
  /** Under which its keys are known: the last of them is that of the pass it is in. */
  readonly owners: KeyOwner[]
  pass: number
  ended: boolean
  waiting: { readonly question: KeyQuestion; readonly onAnswer: OnAnswer }[]
}

/**
 * Answers the questions of all lanes in the order of the input: those of a range when every range that was handed out
 * before it has been through the stages to its end. So the first row of a key is the first one of the file, whatever the
 * lanes and their pace.
 *
 * Shape: ranges are handed out in the order of the input. A range that is staged once more, as after a lost connection, begins
 *        another pass: what it had asked before is forgotten, its keys stay its own, and it gets the same answers.
 * Why:   nothing waits in a circle. Of the ranges that have not ended the first is answered at once. Its lane has no earlier
 *        one to stage, for a lane stages in the order it was handed them; and it waits for nobody else, for no lane holds a
 *        transaction open while it waits for its turn (see encodeAhead). Once ended a range stays so, so a pass made again
 *        waits for nothing. When a lane has failed or the run is to end, `stop` refuses whoever would wait.
 */
export class FileOrder {
  readonly #sets: KeySets
  readonly #turns = new Map<number, Turn>()
  /** Not ended yet, in the order of the input. */
  readonly #queue: Turn[] = []
  #owners = 0
  #stopped = false

  constructor(sets: KeySets) {
    this.#sets = sets
  }

  /** A range is handed out, named by its first byte. */
  begin(start: number): void {
    const turn: Turn = { owners: [], pass: 0, ended: false, waiting: [] }
    this.#turns.set(start, turn)
    this.#queue.push(turn)
  }

  ask(question: KeyQuestion, onAnswer: OnAnswer): void {
    const turn = this.#turns.get(question.start)
    if (turn === undefined) throw new Error('a range asks that was not handed out')
    if (turn.pass !== question.pass) {
      turn.pass = question.pass
      turn.owners.push(++this.#owners)
      turn.waiting = []
    }
    if (turn.ended || turn === this.#queue[0]) this.#answer(turn, question, onAnswer)
    else if (this.#stopped) onAnswer(null)
    else turn.waiting.push({ question, onAnswer })
  }

  /** A range has been through the stages to its end. */
  end(start: number): void {
    const turn = this.#turns.get(start)
    if (turn !== undefined) turn.ended = true
    while (this.#queue[0]?.ended === true) {
      this.#queue.shift()
      const next = this.#queue[0]
      if (next === undefined) return
      for (const { question, onAnswer } of next.waiting.splice(0)) {
        this.#answer(next, question, onAnswer)
      }
    }
  }

  /** A range will not ask any more. */
  forget(start: number): void {
    this.#turns.delete(start)
  }

  /** Refuses the questions that wait, and those that would. */
  stop(): void {
    this.#stopped = true
    for (const turn of this.#queue) {
      for (const { onAnswer } of turn.waiting.splice(0)) onAnswer(null)
    }
  }

  #answer(turn: Turn, question: KeyQuestion, onAnswer: OnAnswer): void {
    const { keys } = question
    const before = turn.owners.slice(0, -1)
    if (keys === null) onAnswer(NOTHING)
    else onAnswer(this.#sets.firsts(question, keys, turn.owners.at(-1)!, before))
  }
}
