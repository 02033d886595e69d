import { describe, expect, test } from 'vitest'
import { detectDialect, detectLineEnd } from '../../../../src/source/csv/detect.ts'
import { type CsvDialect, defaultDialect } from '../../../../src/source/csv/dialect.ts'

function detect(text: string, given: Partial<CsvDialect> = {}) {
  return detectDialect(Buffer.from(text), given)
}

function records(count: number, record: (n: number) => string): string {
  return Array.from({ length: count }, (_, n) => `${record(n)}\n`).join('')
}

describe('the delimiter', () => {
  test.each([',', ';', '\t', '|'])('%j is found where every record has as many fields', (d) => {
    const text = ['id', 'name', 'price'].join(d) + '\n' + records(9, (n) => [n, 'x', '1.5'].join(d))
    const { dialect, confident, reasons } = detect(text)
    expect(dialect.delimiter).toBe(d)
    expect(confident).toBe(true)
    const name = d === '\t' ? 'tab' : d
    expect(reasons[0]).toBe(`delimiter ${name}: every one of 10 records has 3 fields`)
  })

  test('decimal commas do not make a comma of a semicolon', () => {
    const { dialect } = detect('a;b\n' + records(9, (n) => `${String(n)},5;2,25`))
    expect(dialect.delimiter).toBe(';')
  })

  test('delimiters inside quotes do not count', () => {
    const text = 'id,note\n' + records(9, (n) => `${String(n)},"a;b;c\n;d;""e;"`)
    expect(detect(text).dialect.delimiter).toBe(',')
  })

  test('text with commas does not make a comma of a tab', () => {
    const text = 'id\tnote\n' + records(9, (n) => `${String(n)}\tone, two${n % 2 ? ', three' : ''}`)
    expect(detect(text).dialect.delimiter).toBe('\t')
  })

  test('a file of one column is a comma file', () => {
    const { dialect, reasons } = detect('name\nann\nbob\n')
    expect(dialect.delimiter).toBe(',')
    expect(reasons[0]).toBe('delimiter ,: every one of 3 records has one field')
  })

  test('a few ragged records do not put the delimiter in doubt', () => {
    const { dialect, reasons } = detect('a;b;c\n' + records(18, () => '1;2;3') + '1;2\n')
    expect(dialect.delimiter).toBe(';')
    expect(reasons[0]).toBe('delimiter ;: 19 of 20 records have 3 fields')
  })

  test('records of any length are in doubt and taken as comma', () => {
    const { dialect, confident, reasons } = detect('a;b\nc\nd;e;f\ng;h;i;j\n')
    expect(dialect.delimiter).toBe(',')
    expect(confident).toBe(false)
    expect(reasons[0]).toMatch(/^delimiter ,: in doubt/)
  })

  test('two delimiters that fit equally well are in doubt', () => {
    const { dialect, confident } = detect('a|b;c\n' + records(5, () => 'x|y;z'))
    expect(dialect.delimiter).toBe(',')
    expect(confident).toBe(false)
  })

  test('a record that the end of the sample cuts off does not count', () => {
    const { reasons } = detect('id,name,price\n' + records(9000, (n) => `${String(n)},n,1.0`))
    expect(reasons[0]).toMatch(/^delimiter ,: every one of \d+ records has 3 fields$/)
  })
})

describe('the header', () => {
  test('names above numbers are a header', () => {
    const { dialect, confident, reasons } = detect('id,name\n1,ann\n2,bob\n')
    expect(dialect.header).toBe(true)
    expect(confident).toBe(true)
    expect(reasons[1]).toBe('header yes: field 1 is text in the first record only')
  })

  test.each(['1,ann', '"2",ann', '2024-02-29,ann', '12:30,ann', 'true,ann', '$7.50,ann'])(
    'a first record of %s above its like is no header',
    (record) => {
      const { dialect, confident } = detect(records(3, () => record))
      expect(dialect.header).toBe(false)
      expect(confident).toBe(true)
    },
  )

  test('text above text is in doubt and taken as a header', () => {
    const { dialect, confident, reasons } = detect('name,city\nann,rome\nbob,oslo\n')
    expect(dialect.header).toBe(true)
    expect(confident).toBe(false)
    expect(reasons[1]).toBe('header yes: in doubt, every column is text')
  })

  test('years in a row are in doubt and taken as names', () => {
    const { dialect, confident } = detect('country,2019,2020\nItaly,1.5,2.5\nPeru,3.5,4.5\n')
    expect(dialect.header).toBe(true)
    expect(confident).toBe(false)
  })

  test.each(['id,id\n1,2\n', ',id\n1,2\n', 'id\n', ''])('%j is in doubt', (text) => {
    const { dialect, confident } = detect(text)
    expect(dialect.header).toBe(true)
    expect(confident).toBe(false)
  })
})

describe('the line end', () => {
  const find = (text: string, atEnd = true) =>
    detectLineEnd(Buffer.from(text), defaultDialect, atEnd)

  test('the first one outside quotes counts', () => {
    expect(find('a,"b\r\n""c\r"\nd\r\n')).toBe('lf')
    expect(find('a\r\nb\n')).toBe('crlf')
    expect(find('a\rb\n')).toBe('cr')
    expect(find('a,b')).toBeNull()
  })

  test('a CR at the end of the bytes is not known yet unless the input ends there', () => {
    expect(find('a\r', false)).toBeNull()
    expect(find('a\r', true)).toBe('cr')
  })

  test('an escaped quote does not close and a quote in a comment does not open', () => {
    const bytes = Buffer.from('"a\\"\r",b\n')
    expect(detectLineEnd(bytes, { quote: '"', escape: '\\', comment: '' }, true)).toBe('lf')
    const comment = Buffer.from('# it"s\r\na\n')
    expect(detectLineEnd(comment, { ...defaultDialect, comment: '#' }, true)).toBe('crlf')
  })

  test('a quote that is never closed puts it in doubt', () => {
    const { dialect, confident } = detect('"a,b\r\nc,d\r\n')
    expect(dialect.lineEnd).toBe('crlf')
    expect(confident).toBe(false)
  })
})

describe('what the user has set', () => {
  test('is taken as it is and not spoken of', () => {
    const given = { delimiter: ':', header: false, lineEnd: 'lf', nullText: 'N' } as const
    const { dialect, confident, reasons } = detect('id,name\n1,ann\n', given)
    expect(dialect).toEqual({ ...defaultDialect, ...given })
    expect(confident).toBe(true)
    expect(reasons).toEqual([])
  })

  test('leaves the rest to be found out', () => {
    const { dialect } = detect("a;'b;c'\n1;'x;y'\n2;'z'\n", { quote: "'" })
    expect(dialect).toMatchObject({ delimiter: ';', quote: "'", escape: "'", header: true })
    expect(detect('a;b\r\n1;2\r\n', { lineEnd: 'auto' }).dialect.lineEnd).toBe('crlf')
  })
})
