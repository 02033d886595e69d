import { describe, expect, test } from 'vitest'
import { Backoff, pauseBefore } from '../../../src/core/backoff.ts'

const fault = new Error('it failed')

/** Tries until it is given up; the number of pauses. */
async function tryInVain(backoff: Backoff): Promise<number> {
  for (let pauses = 0; ; pauses++) {
    const given = await backoff.pause(fault).catch((error: unknown) => error)
    if (given === fault) return pauses
  }
}

describe('the pauses between tries', () => {
  test('double from 100 ms to 32 s, and are shortened by up to a half', () => {
    const longest = [1, 2, 3, 9, 10, 50].map((tries) => pauseBefore(tries, 1))
    expect(longest).toEqual([100, 200, 400, 25_600, 32_000, 32_000])
    expect(pauseBefore(3, 0)).toBe(200)
    expect(pauseBefore(50, 0)).toBe(16_000)
    expect(pauseBefore(2_000, 1)).toBe(32_000)
  })

  test('end with the error when the time is over, the last at its very end', async () => {
    const began = performance.now()
    const pauses = await tryInVain(new Backoff(250))
    expect(performance.now() - began).toBeGreaterThan(240)
    expect(pauses).toBeGreaterThanOrEqual(2)
    expect(await tryInVain(new Backoff(0))).toBe(0)
  })

  test('begin anew after progress', async () => {
    const backoff = new Backoff(200)
    await tryInVain(backoff)
    expect(backoff.tries).toBeGreaterThan(1)
    backoff.progressed()
    expect(backoff.tries).toBe(0)
    expect(await tryInVain(backoff)).toBeGreaterThan(0)
  })

  test('end at once when they are to stop', async () => {
    const stop = new AbortController()
    const backoff = new Backoff(60_000, stop.signal)
    setTimeout(() => stop.abort(), 20)
    expect(await tryInVain(backoff)).toBe(0)
    expect(await tryInVain(backoff)).toBe(0)
  })
})
