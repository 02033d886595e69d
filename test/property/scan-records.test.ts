import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Scan } from '../../src/source/csv/engine.ts'
import { scanRecords } from '../../src/source/csv/scan-records.ts'

const QUOTE = 34
const NEWLINE = 10

/** Byte by byte, as PostgreSQL's own reader goes. */
function scanSlowly(bytes: Buffer): Scan {
  const scan = { end: 0, records: 0, lines: 0 }
  let inside = false
  let lines = 0
  bytes.forEach((byte, i) => {
    if (byte === QUOTE) inside = !inside
    if (byte === NEWLINE) lines++
    if (byte !== NEWLINE || inside) return
    scan.records++
    scan.end = i + 1
    scan.lines = lines
  })
  return scan
}

/** Runs of bytes: words of the scan and its windows end everywhere in them. */
const run = fc.record({
  byte: fc.constantFrom(QUOTE, NEWLINE, 120, 0, 255),
  length: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 130 })),
})

describe('the scan for records', () => {
  test('finds what a loop over bytes finds', () => {
    fc.assert(
      fc.property(fc.array(run, { maxLength: 40 }), (runs) => {
        const bytes = Buffer.concat(runs.map(({ byte, length }) => Buffer.alloc(length, byte)))
        expect(scanRecords(bytes, QUOTE, NEWLINE)).toEqual(scanSlowly(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  test('finds it beyond the bytes that it takes at a time', () => {
    const place = fc.integer({ min: 0, max: 200_000 })
    fc.assert(
      fc.property(fc.array(place), fc.array(place), place, (quotes, newlines, length) => {
        const bytes = Buffer.alloc(length, 120)
        for (const at of newlines) if (at < length) bytes[at] = NEWLINE
        for (const at of quotes) if (at < length) bytes[at] = QUOTE
        expect(scanRecords(bytes, QUOTE, NEWLINE)).toEqual(scanSlowly(bytes))
      }),
      { numRuns: 200 },
    )
  })
})
