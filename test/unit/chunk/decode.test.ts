import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decoderOf, NOT_ASCII } from '../../../src/chunk/decode.ts'

const decode = decoderOf('float8')

function floatOf(text: string): unknown {
  // Between other bytes, as a field is.
  const bytes = Buffer.from(`7.7,${text},7.7`)
  const ascii = bytes.toString('latin1')
  const given = ascii.length === bytes.length ? { ascii } : NOT_ASCII
  return decode(bytes, given, 4, bytes.length - 4)
}

test('a plain decimal is the double nearest to it, however many digits it has', () => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 20 })
  const decimal = fc
    .tuple(fc.constantFrom('', '-', '+'), digits, fc.constantFrom('', '.'), digits)
    .filter(([, whole, , fraction]) => whole + fraction !== '')
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(decimal, (text) => floatOf(text) === Number(text)),
    { numRuns: 3000 },
  )
})

test('each double is read back from its shortest text', () => {
  fc.assert(fc.property(fc.double({ noNaN: true }), (value) => floatOf(String(value)) === value))
})

test.each(['', '-', '.', '-.', '1.2.3', '1,5', '0x10', '1e', 'ten', '١'])(
  'what is no number is none: %j',
  (text) => {
    expect(floatOf(text)).toBeUndefined()
  },
)
