import { describe, expect, test } from 'vitest'
import { FileOrder } from '../../../src/run/lanes/file-order.ts'
import { KeyWriter } from '../../../src/stage/keys/key-batch.ts'
import { KeySets } from '../../../src/stage/keys/key-sets.ts'

interface Asked {
  /** Null while it waits, 'none' when it is told that there will be none. */
  answer: string | null
}

/** A run of three ranges whose questions are texts, a key for each character. */
function run(starts: readonly number[]) {
  const order = new FileOrder(new KeySets([[{ maxMemory: 1 << 20 }]]))
  for (const start of starts) order.begin(start)
  return {
    order,
    ask(start: number, pass: number, text: string): Asked {
      const writer = new KeyWriter()
      writer.begin(text.length)
      for (const key of text) {
        writer.putText(key)
        writer.endKey()
      }
      const asked: Asked = { answer: null }
      const question = { id: 1, start, pass, stage: 0, set: 0, keys: writer.end() }
      order.ask(question, (answer) => (asked.answer = answer?.firsts.join('') ?? 'none'))
      return asked
    },
  }
}

describe('questions of ranges', () => {
  test('are answered in the order of the file, whichever lane is faster', () => {
    const { order, ask } = run([0, 100, 200])
    const third = ask(200, 1, 'abc')
    const second = ask(100, 1, 'bb')
    expect([third.answer, second.answer]).toEqual([null, null])
    expect(ask(0, 2, 'aba').answer).toBe('110')
    expect(ask(0, 2, 'c').answer).toBe('1')
    order.end(0)
    expect(second.answer).toBe('00')
    expect(ask(100, 1, 'd').answer).toBe('1')
    expect(third.answer).toBeNull()
    order.end(100)
    expect(third.answer).toBe('000')
  })

  test('go on behind ranges that ended before their turn came', () => {
    const { order, ask } = run([0, 100, 200])
    order.end(100) // no row of it had a key
    const third = ask(200, 1, 'a')
    order.end(0)
    expect(third.answer).toBe('1')
  })

  test('of a range that begins again have the same answers, whatever was asked behind it meanwhile', () => {
    const { order, ask } = run([0, 100])
    const behind = ask(100, 1, 'abz')
    expect(ask(0, 2, 'xyx').answer).toBe('110')
    expect(ask(0, 3, 'xyx').answer).toBe('110')
    expect(ask(0, 3, 'ab').answer).toBe('11')
    order.end(0)
    expect(behind.answer).toBe('001')
    expect(ask(0, 4, 'xyxab').answer).toBe('11011')
    expect(ask(0, 4, 'z').answer).toBe('0')
    order.end(0)
    expect(ask(100, 5, 'abz').answer).toBe('001')
  })

  test('that waited when their range began again are forgotten', () => {
    const { order, ask } = run([0, 100])
    const old = ask(100, 1, 'a')
    const again = ask(100, 2, 'a')
    order.end(0)
    expect([old.answer, again.answer]).toEqual([null, '1'])
  })

  test('without keys only wait for the turn', () => {
    const { order, ask } = run([0, 100])
    let told = false
    const question = { id: 1, start: 100, pass: 1, stage: 0, set: 0, keys: null }
    order.ask(question, (answer) => (told = answer !== null))
    expect(told).toBe(false)
    expect(ask(0, 1, 'a').answer).toBe('1')
    order.end(0)
    expect(told).toBe(true)
    expect(ask(100, 1, 'ab').answer).toBe('01')
  })

  test('are refused once the run is to stop, but for those that have their turn', () => {
    const { order, ask } = run([0, 100, 200])
    const waits = ask(100, 1, 'a')
    order.stop()
    expect(waits.answer).toBe('none')
    expect(ask(200, 1, 'a').answer).toBe('none')
    expect(ask(0, 1, 'a').answer).toBe('1')
    order.end(0)
    expect(ask(100, 2, 'ab').answer).toBe('01')
  })
})
