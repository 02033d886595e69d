import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SourceError } from '../../../../src/core/errors.ts'
import { type CsvDialect, defaultDialect } from '../../../../src/source/csv/dialect.ts'
import { generalEngine } from '../../../../src/source/csv/general-engine.ts'
import { rowsOf } from '../../../helpers/corpora.ts'

function engine(dialect: Partial<CsvDialect> = {}) {
  return generalEngine({ ...defaultDialect, lineEnd: 'lf', header: false, ...dialect })
}

function rows(text: string, dialect: Partial<CsvDialect> = {}, fieldCount = 0) {
  const { fields, bad } = engine(dialect).index(Buffer.from(text), fieldCount, 0)
  return { rows: rowsOf(fields), bad }
}

function scan(text: string, atEnd: 'at end' | 'more', dialect: Partial<CsvDialect> = {}) {
  return engine(dialect).scan(Buffer.from(text), atEnd === 'at end')
}

function thrownBy(run: () => unknown): SourceError {
  try {
    run()
  } catch (error) {
    if (error instanceof SourceError) return error
  }
  throw new Error('no SourceError was thrown')
}

describe('the fields of a record', () => {
  test('a delimiter of several bytes separates fields', () => {
    expect(rows('a||b|c||"d||e"\n', { delimiter: '||' }).rows).toEqual([['a', 'b|c', 'd||e']])
    expect(rows('ä§ö\n€§\n', { delimiter: '§' }).rows).toEqual([
      ['ä', 'ö'],
      ['€', null],
    ])
  })

  test('an unquoted field is NULL where it is the null text, a quoted one never is', () => {
    expect(rows(',"",x\n').rows).toEqual([[null, '', 'x']])
    expect(rows('NULL,"NULL",\n', { nullText: 'NULL' }).rows).toEqual([[null, 'NULL', '']])
  })

  test('spaces around a field belong to it', () => {
    expect(rows(' a , b\t\n').rows).toEqual([[' a ', ' b\t']])
  })

  test('an escape protects a quote and an escape and is itself before anything else', () => {
    const text = String.raw`"a\"b","c\\","d\ne",\x` + '\n'
    expect(rows(text, { escape: '\\' }).rows).toEqual([['a"b', 'c\\', 'd\\ne', '\\x']])
  })

  test('without a quote every quote character is data', () => {
    expect(rows('5" disk,"x\n', { quote: '', escape: '' }).rows).toEqual([['5" disk', '"x']])
  })

  test('a quoted field keeps delimiters, line ends, comment signs and doubled quotes', () => {
    expect(rows('"a,""b""\n#c\r\n",d\n', { comment: '#' }).rows).toEqual([['a,"b"\n#c\r\n', 'd']])
  })

  test('bytes that are not UTF-8 go through as they are', () => {
    const bytes = Buffer.from([0xff, 0x2c, 0x22, 0xc3, 0x22, 0x22, 0x22, 0x0a])
    const { fields } = engine().index(bytes, 0, 0)
    expect(rowsOf(fields, 'latin1')).toEqual([['\xff', '\xc3"']])
  })

  test('the bytes of the range are left as they were', () => {
    const bytes = Buffer.from('"a""b",c\n')
    engine().index(bytes, 0, 0)
    expect(bytes.toString()).toBe('"a""b",c\n')
  })
})

describe('lines', () => {
  test('lines that begin with the comment sign are skipped, others are not', () => {
    const text = '# "x\na,#b\n#\n #c,d\n# end'
    expect(rows(text, { comment: '#' }).rows).toEqual([
      ['a', '#b'],
      [' #c', 'd'],
    ])
    expect(scan(text, 'at end', { comment: '#' })).toEqual({
      end: text.length,
      records: 2,
      lines: 5,
    })
  })

  test('a blank line is a row with one empty field unless blank lines are skipped', () => {
    expect(rows('a\n\nb\n').rows).toEqual([['a'], [null], ['b']])
    expect(rows('\na\n\nb\n\n', { emptyLines: 'skip' }).rows).toEqual([['a'], ['b']])
    expect(scan('\na\n\nb\n\n', 'at end', { emptyLines: 'skip' }).records).toBe(2)
  })

  test('CR, LF and CRLF are found out from the first record', () => {
    for (const lineEnd of ['\n', '\r\n', '\r']) {
      const text = ['"a\r\nb",c', 'd,e', ''].join(lineEnd)
      expect(rows(text, { lineEnd: 'auto' }).rows).toEqual([
        ['a\r\nb', 'c'],
        ['d', 'e'],
      ])
    }
  })

  test('a line end that is not the one of the file makes a bad record', () => {
    expect(rows('a\rb\nc\n').bad[0]?.reason).toMatch(/carriage return outside quotes/)
    expect(rows('a\nb\rc\r', { lineEnd: 'cr' }).bad[0]?.reason).toMatch(/line feed outside/)
    const crlf = rows('a\r\nb\nc\r\n', { lineEnd: 'crlf' })
    expect(crlf.rows).toEqual([['a'], ['c']])
    expect(crlf.bad).toEqual([
      { record: 1, byte: 3, reason: expect.stringMatching(/bare line feed/) as string },
    ])
  })
})

describe('bad records', () => {
  test('a record with another number of fields says so and is left out', () => {
    expect(rows('a,b\nc\nd,e\nf,g,h\n')).toEqual({
      rows: [
        ['a', 'b'],
        ['d', 'e'],
      ],
      bad: [
        { record: 1, byte: 4, reason: 'has 1 field, expected 2' },
        { record: 3, byte: 10, reason: 'has 3 fields, expected 2' },
      ],
    })
  })

  test('a quote that csv-parse does not allow makes one bad record, and reading goes on', () => {
    const { rows: good, bad } = rows('a,b\nc,d"e\nf"\n"g"h,i\n"k",l\n', {}, 2)
    expect(good).toEqual([
      ['a', 'b'],
      ['k', 'l'],
    ])
    expect(bad.map(({ record, byte }) => [record, byte])).toEqual([
      [1, 4],
      [2, 13],
    ])
    expect(bad[0]?.reason).toMatch(/^has a quote inside field 2/)
    expect(bad[1]?.reason).toMatch(/^has text after the closing quote of field 1/)
  })

  test('text that csv-parse would take for a comment behind an empty quoted field is not lost', () => {
    const { rows: good, bad } = rows('""#x\na\n', { comment: '#' }, 1)
    expect(good).toEqual([['a']])
    expect(bad[0]?.reason).toMatch(/^has text after the closing quote/)
  })

  test('a comment or a skipped blank line before a bad record does not move its place', () => {
    const { bad } = rows('a,b\n#\n\nc\n', { comment: '#', emptyLines: 'skip' })
    expect(bad).toEqual([{ record: 1, byte: 7, reason: 'has 1 field, expected 2' }])
  })

  test('a reason holds no value of the record', () => {
    const { bad } = rows('secret"x"\n"y"secret\nsecret,secret\n', {}, 1)
    expect(bad).toHaveLength(3)
    for (const { reason } of bad) expect(reason).not.toContain('secret')
  })
})

describe('a scan', () => {
  test('counts whole records only while more bytes may come', () => {
    expect(scan('ä,b\nc,d', 'more')).toEqual({ end: 5, records: 1, lines: 1 })
    expect(scan('ä,b\nc,d', 'at end')).toEqual({ end: 8, records: 2, lines: 2 })
    expect(scan('c,"d"', 'more').end).toBe(0)
    expect(scan('c,"d\n', 'more').end).toBe(0)
  })

  test('does not end a record between CR and LF', () => {
    expect(scan('a\r\nb\r', 'more', { lineEnd: 'crlf' }).end).toBe(3)
    expect(scan('a\r', 'more', { lineEnd: 'auto' })).toEqual({ end: 0, records: 0, lines: 0 })
    expect(scan('"a"\r', 'more', { lineEnd: 'crlf' }).end).toBe(0)
  })

  test('does not take half a delimiter for text after a quote', () => {
    expect(scan('"a"|', 'more', { delimiter: '||' })).toEqual({ end: 0, records: 0, lines: 0 })
  })

  test('counts the line ends in quotes as lines', () => {
    expect(scan('"a\nb"\nc\n', 'more')).toEqual({ end: 8, records: 2, lines: 3 })
  })

  test('takes the skipped lines behind the last record along', () => {
    expect(scan('a\n#x\n#y', 'more', { comment: '#' }).end).toBe(5)
    expect(scan('#x\n', 'more', { comment: '#' })).toEqual({ end: 3, records: 0, lines: 1 })
  })

  test('says where a quote was opened that nothing closes', () => {
    const error = thrownBy(() => scan('a\n"b\nc"\nd,"e\nf', 'at end'))
    expect(error.code).toBe('SOURCE_UNTERMINATED_QUOTE')
    expect(error.where).toEqual({ record: 3, line: 4, byte: 10 })
  })

  test('gives the same records wherever the bytes are cut', () => {
    const dialects = fc.record({
      delimiter: fc.constantFrom(',', '||', '§'),
      quote: fc.constantFrom('"', "'", ''),
      escape: fc.constantFrom('"', '\\'),
      comment: fc.constantFrom('', '#'),
      emptyLines: fc.constantFrom('keep' as const, 'skip' as const),
      lineEnd: fc.constantFrom('lf' as const, 'crlf' as const, 'cr' as const),
    })
    const part = fc.constantFrom(',', '||', '§', '"', "'", '\\', '#', '\n', '\r\n', '\r', 'a', 'é')
    fc.assert(
      fc.property(dialects, fc.array(part, { maxLength: 16 }), fc.nat(), (dialect, parts, at) => {
        const text = Buffer.from(parts.join(''))
        const csv = engine(dialect)
        const head = csv.scan(text.subarray(0, at % (text.length + 1)), false)
        let whole
        try {
          whole = csv.scan(text, true)
        } catch {
          expect(() => csv.scan(text.subarray(head.end), true)).toThrow(SourceError)
          return
        }
        const rest = csv.scan(text.subarray(head.end), true)
        expect(head.records + rest.records).toBe(whole.records)
        expect(head.lines + rest.lines).toBe(whole.lines)
        const { fields, bad } = csv.index(text, 0, 0)
        expect(fields.rowCount + bad.length).toBe(whole.records)
      }),
      { numRuns: 2000 },
    )
  })
})
