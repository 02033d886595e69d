import { describe, expect, test } from 'vitest'
import { FAULTS } from '../../../src/core/faults.ts'
import type { TargetError } from '../../../src/core/errors.ts'
import { isFault, wrapServerError } from '../../../src/target/server-error.ts'

const CODES = {
  lost: 'TARGET_CONNECTION_LOST',
  unreachable: 'TARGET_UNREACHABLE',
  undone: 'TARGET_TEMPORARY',
} as const

/** What pg throws for an error of the server's, or of the socket. */
function thrown(code: string): Error {
  const isServer = /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code)
  return Object.assign(new Error('said'), { code }, isServer ? { severity: 'ERROR' } : {})
}

describe('a fault that may pass', () => {
  test.each([...FAULTS])('%s is worth another try', (code, { kind, reason }) => {
    const error = wrapServerError(thrown(code))
    expect(isFault(error)).toBe(true)
    expect(error).toMatchObject({ code: CODES[kind], retryable: true })
    expect(error.message).toContain('said')
    expect(reason).not.toBe('')
  })

  test('is about no row, though COPY says in which line it was', () => {
    const where = 'COPY t, line 7'
    const error = wrapServerError(Object.assign(thrown('53100'), { where })) as TargetError
    expect(error).toMatchObject({ code: 'TARGET_TEMPORARY', copyLine: undefined })
  })

  test('is what counts when something else has failed with it', () => {
    const both = new AggregateError([thrown('23505'), thrown('57P01')], 'both')
    expect(wrapServerError(both)).toMatchObject({ code: 'TARGET_CONNECTION_LOST' })
  })

  test.each(['22P02', '23505', '28P01', '3D000', '42501', '42601', '42P01', '57P04', 'XX000'])(
    '%s is not',
    (code) => {
      expect(isFault(wrapServerError(thrown(code)))).toBe(false)
    },
  )
})
