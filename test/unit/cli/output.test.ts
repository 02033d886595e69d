import { describe, expect, test } from 'vitest'
import { escapedTwice } from '../../../src/cli/log.ts'
import { printable } from '../../../src/cli/output.ts'

const CONTROLS = Array.from({ length: 0xa0 }, (_, code) => code)
  .filter((code) => code < 0x20 || code > 0x7e)
  .map((code) => String.fromCharCode(code))
const EVIL = `${CONTROLS.join('x')} \u001b]0;title\u0007 \\u001b \\\\u001b é 🐢`

/** What could make a terminal do something; line ends and tabs could not. */
function hasControls(text: string): boolean {
  return /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text)
}

describe('text for a terminal', () => {
  test('has no control characters, and the rest as it is', () => {
    expect(hasControls(printable(EVIL))).toBe(false)
    expect(printable('a\tb\nc é 🐢 \u001b[31m')).toBe('a\tb\nc é 🐢 \\u001b[31m')
  })

  test('that is JSON has the same meaning', () => {
    const json = JSON.stringify({ [EVIL]: EVIL })
    expect(hasControls(json)).toBe(true) // JSON.stringify leaves those behind 7f
    expect(hasControls(printable(json))).toBe(false)
    expect(JSON.parse(printable(json))).toEqual({ [EVIL]: EVIL })
  })

  test('that is a line of the log has none either once it is read as JSON', () => {
    const line = `${JSON.stringify({ msg: EVIL, field: [EVIL] })}\n`
    const { msg, field } = JSON.parse(escapedTwice(line)) as { msg: string; field: string[] }
    expect(hasControls(msg + field.join())).toBe(false)
    expect(msg).toContain('é 🐢')
  })
})
