import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { Queue } from '../../../src/core/queue.ts'

describe('a queue', () => {
  test('gives what was pushed in its order, and ends', async () => {
    const queue = new Queue<number>()
    queue.push(1)
    queue.push(2)
    queue.end()
    const taken: number[] = []
    for await (const item of queue) taken.push(item)
    expect(taken).toEqual([1, 2])
  })

  test('throws what it was given, once everything before it is taken', async () => {
    const queue = new Queue<number>()
    queue.push(1)
    queue.fail(new Error('no more'))
    expect(await queue.take()).toBe(1)
    await expect(queue.take()).rejects.toThrow('no more')
  })

  test('leaves nothing on the signal it waited with', async () => {
    const queue = new Queue<number>()
    const stop = new AbortController()
    for (let i = 0; i < 20; i++) {
      const taken = queue.take(stop.signal)
      queue.push(i)
      expect(await taken).toBe(i)
    }
    expect(getEventListeners(stop.signal, 'abort')).toEqual([])
  })

  test('does not wait any longer when it is told to stop', async () => {
    const queue = new Queue<number>()
    const stop = new AbortController()
    const taken = queue.take(stop.signal)
    stop.abort()
    expect(await taken).toBeUndefined()
    expect(await queue.take(stop.signal)).toBeUndefined()
  })
})
