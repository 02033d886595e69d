import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { type EndedLoad, runLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

/** Writes a file with the table's name and loads it. */
async function loadText(
  table: string,
  content: string | Buffer,
  ...args: string[]
): Promise<EndedLoad> {
  const file = await dir.write(`${table}.csv`, content)
  return runLoad(db, [file, '--table', table, ...args])
}

async function rowsOf(table: string): Promise<unknown[][]> {
  return (await db.query(`select * from ${table}`)).map((row) => Object.values(row))
}

async function exists(table: string): Promise<boolean> {
  return (await db.value('select to_regclass($1) is not null', [table])) === true
}

describe('a small file', () => {
  test('without a byte loads nothing into a table that is there', async () => {
    await db.query('create table empty_given (a int)')
    const run = await loadText('empty_given', '')
    expect(run.code, run.stderr).toBe(0)
    expect(run.report).toMatchObject({ status: 'complete', rows: { read: 0, loaded: 0 } })
    const again = await loadText('empty_given', '')
    expect(again.code, again.stderr).toBe(0)
    expect(again.report.status).toBe('already-complete')
  })

  test('without a byte, and without a table, is an error that says what to do', async () => {
    const run = await loadText('empty_missing', '')
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('SOURCE_BAD_HEADER')
    expect(run.report.error?.hint).toContain('create the table')
    expect(await exists('empty_missing')).toBe(false)
  })

  test.each([
    ['with a newline', 'a,b\n', 'header_only'],
    ['without one', 'a,b', 'header_only_unended'],
  ])('of a header only %s makes the table and loads nothing', async (_, content, table) => {
    const run = await loadText(table, content)
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(0)
    expect(await rowsOf(table)).toEqual([])
    await db.query(`select a, b from ${table}`)
  })

  test('of a header only loads nothing into a table that is there', async () => {
    await db.query('create table header_given (a int, b text)')
    const run = await loadText('header_given', 'a,b\n')
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(0)
  })

  test.each([
    ['LF', 'a,b\n1,x\n2,"y\nz"\n'],
    ['LF, the last one missing', 'a,b\n1,x\n2,"y\nz"'],
    ['CRLF', 'a,b\r\n1,x\r\n2,"y\nz"\r\n'],
    ['CRLF, the last one missing', 'a,b\r\n1,x\r\n2,"y\nz"'],
    ['CR', 'a,b\r1,x\r2,"y\nz"\r'],
    ['CR, the last one missing', 'a,b\r1,x\r2,"y\nz"'],
  ])('with %s line ends loads its rows as they are', async (name, content) => {
    const table = `ends_${name.toLowerCase().replaceAll(/\W+/g, '_')}`
    const run = await loadText(table, content)
    expect(run.code, run.stderr).toBe(0)
    expect(await rowsOf(table)).toEqual([
      [1, 'x'],
      [2, 'y\nz'],
    ])
  })

  test.each([
    ['a plain header', '\ufeffa,b\n1,2\n', []],
    ['a quoted header', '\ufeff"a","b"\n1,2\n', []],
    ['no header', '\ufeff1,2\n', ['--no-header', '--columns', 'a,b']],
    ['no header and quotes', '\ufeff"1","2"\n', ['--no-header', '--columns', 'a,b']],
  ])('loads a byte order mark before %s as if it were not there', async (name, content, args) => {
    const table = `bom_${name.replaceAll(' ', '_')}`
    await db.query(`create table ${table} (a int, b int)`)
    const run = await loadText(table, content, ...args)
    expect(run.code, run.stderr).toBe(0)
    expect(await rowsOf(table)).toEqual([[1, 2]])
  })

  test('keeps NULL and the empty text apart, and other texts NULL with --null', async () => {
    const content = 'a,b\n,""\nNA,"NA"\n'
    expect((await loadText('null_default', content)).code).toBe(0)
    expect(await rowsOf('null_default')).toEqual([
      [null, ''],
      ['NA', 'NA'],
    ])
    expect((await loadText('null_na', content, '--null', 'NA')).code).toBe(0)
    expect(await rowsOf('null_na')).toEqual([
      ['', ''],
      [null, 'NA'],
    ])
  })
})

describe('columns', () => {
  test('are matched by name: exactly, then regardless of case, then of punctuation', async () => {
    await db.query('create table matched (first_name text, "ID" int, id int, "Total €" text)')
    const run = await loadText('matched', 'total (€),First-Name,ID,id\n7,Ann,1,2\n')
    expect(run.code, run.stderr).toBe(0)
    expect(await db.query('select * from matched')).toEqual([
      { first_name: 'Ann', ID: 1, id: 2, 'Total €': '7' },
    ])
  })

  test('of the table that the file does not have get their defaults', async () => {
    await db.query(`create table defaulted (a int, b int default 5, c text not null default 'x')`)
    expect((await loadText('defaulted', 'a\n1\n')).code).toBe(0)
    expect(await rowsOf('defaulted')).toEqual([[1, 5, 'x']])
  })

  test('that the server computes are left to it when the file does not have them', async () => {
    await db.query(`create table computed (
      id int generated always as identity, a int, twice int generated always as (a * 2) stored)`)
    expect((await loadText('computed', 'a\n4\n5\n', '--lanes', '1')).code).toBe(0)
    expect(await rowsOf('computed')).toEqual([
      [1, 4, 8],
      [2, 5, 10],
    ])
  })

  test('that the server computes are left out when the file has them, and that is said', async () => {
    await db.query(`create table computed_too (
      id int generated always as identity, a int, twice int generated always as (a * 2) stored)`)
    const run = await loadText('computed_too', 'id,a,twice\n100,4,9\n')
    expect(run.code, run.stderr).toBe(0)
    expect(await rowsOf('computed_too')).toEqual([[1, 4, 8]])
    expect(run.stderr).toMatch(/twice/)
    expect(run.stderr).toMatch(/id/)
  })

  test.each([
    ['by name', 'z,a\n1,2\n', []],
    ['named with --columns', '1,2\n', ['--no-header', '--columns', 'z,a']],
  ])(
    'that the table does not have are refused, and nothing is loaded: %s',
    async (name, content, args) => {
      const table = `unknown_${name.replaceAll(/\W+/g, '_')}`
      await db.query(`create table ${table} (a int, b int)`)
      const run = await loadText(table, content, ...args)
      expect(run.code).toBe(2)
      expect(run.report.error?.code).toBe('CONFIG_UNKNOWN_COLUMN')
      expect(run.report.error?.message).toContain('"z"')
      expect(await rowsOf(table)).toEqual([])

      await db.query(`alter table ${table} add column z int`)
      const again = await loadText(table, content, ...args)
      expect(again.code, again.stderr).toBe(0)
      expect(await rowsOf(table)).toEqual([[2, null, 1]])
    },
  )

  test('that must not be null and are not in the file are refused, and nothing is loaded', async () => {
    await db.query('create table wanting (a int, b int not null, c int not null)')
    const run = await loadText('wanting', 'a\n1\n')
    expect(run.code).toBe(2)
    expect(run.report.error?.code).toBe('CONFIG_MISSING_COLUMN')
    expect(run.report.error?.message).toContain('"b", "c"')
    expect(await rowsOf('wanting')).toEqual([])
  })

  test('that two fields would fill are refused', async () => {
    await db.query('create table twofold (a int, b int)')
    const run = await loadText('twofold', 'a,A\n1,2\n')
    expect(run.code).toBe(2)
    expect(run.report.error?.message).toContain('"a"')
    expect(await rowsOf('twofold')).toEqual([])
  })

  test('are filled in their order by a file without a header', async () => {
    await db.query('create table ordered (b text, a int)')
    const run = await loadText('ordered', 'x,1\ny,2\n', '--no-header')
    expect(run.code, run.stderr).toBe(0)
    expect(await rowsOf('ordered')).toEqual([
      ['x', 1],
      ['y', 2],
    ])
  })

  test('of a file without a header can be named, also over a header that is there', async () => {
    expect((await loadText('named', '1,x\n', '--no-header', '--columns', 'a,"b,c"')).code).toBe(0)
    expect(await db.query('select * from named')).toEqual([{ a: 1, 'b,c': 'x' }])
    const run = await loadText('renamed', 'p,q\n1,x\n', '--header', '--columns', 'a,b')
    expect(run.code, run.stderr).toBe(0)
    expect(await db.query('select * from renamed')).toEqual([{ a: 1, b: 'x' }])
  })

  test('named with --columns must be as many as the fields', async () => {
    const run = await loadText('miscounted', '1,2,3\n', '--no-header', '--columns', 'a,b')
    expect(run.code).toBe(2)
    expect(run.report.error?.code).toBe('CONFIG_BAD_VALUE')
    expect(await exists('miscounted')).toBe(false)
  })

  test('without names or with the same name twice get names of their own', async () => {
    expect((await loadText('nameless', 'a,,a,\n1,2,3,4\n', '--header')).code).toBe(0)
    expect(await db.query('select * from nameless')).toEqual([
      { a: 1, column_2: 2, a_2: 3, column_4: 4 },
    ])
  })

  test('may be 1,600, and are created, filled, and filled again', async () => {
    const names = Array.from({ length: 1600 }, (_, i) => `c${String(i)}`)
    const values = names.map((_, i) => String(i % 10))
    const content = `${names.join(',')}\n${`${values.join(',')}\n`.repeat(20)}`
    const run = await loadText('widest', content, '--chunk-size', '8KiB')
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(20)
    expect(await db.value('select sum(c0 + c9 + c1599)::int from widest')).toBe(20 * 18)
    const again = await runLoad(db, [dir.path('widest.csv'), '--table', 'widest', '--job', 'again'])
    expect(again.code, again.stderr).toBe(0)
    expect(await db.value('select count(*)::int from widest')).toBe(40)
  })

  test('may not be 1,601: the server says so, and nothing is left behind', async () => {
    const names = Array.from({ length: 1601 }, (_, i) => `c${String(i)}`)
    const run = await loadText('too_wide', `${names.join(',')}\n`)
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('TARGET_REFUSED')
    expect(run.report.error?.message).toContain('1600')
    expect(await exists('too_wide')).toBe(false)
  })
})

describe('types', () => {
  test('are those of --types where they are named', async () => {
    const content = 'id,amount,note\n1,2.50,7\n'
    const types = ['--types', 'id=bigint,amount=numeric(12,4),note=varchar(5)']
    const run = await loadText('typed', content, ...types)
    expect(run.code, run.stderr).toBe(0)
    const found = await db.query<{ type: string }>(
      `select format_type(atttypid, atttypmod) as type from pg_attribute
        where attrelid = 'typed'::regclass and attnum > 0 order by attnum`,
    )
    expect(found.map(({ type }) => type)).toEqual([
      'bigint',
      'numeric(12,4)',
      'character varying(5)',
    ])
  })

  test('for a column that the file does not have are refused', async () => {
    const run = await loadText('typed_wrong', 'a\n1\n', '--types', 'b=int')
    expect(run.code).toBe(2)
    expect(run.report.error?.code).toBe('CONFIG_UNKNOWN_COLUMN')
    expect(await exists('typed_wrong')).toBe(false)
  })

  test.each([
    ['another statement', 'int); drop table victim; --'],
    ['a default', 'int default 5'],
    ['a constraint', 'int primary key'],
    ['a text', "text default 'x'"],
  ])('are names of types and nothing more: one with %s is refused', async (what, type) => {
    const table = `typed_with_${what.replace(' ', '_')}`
    await db.query('create table if not exists victim (a int)')
    const run = await loadText(table, 'a\n1\n', '--types', `a=${type}`)
    expect(run.code).toBe(2)
    expect(await exists(table)).toBe(false)
    expect(await exists('victim')).toBe(true)
  })

  test('that the server does not know are its error, and nothing is left behind', async () => {
    const run = await loadText('typed_unknown', 'a\n1\n', '--types', 'a=nonesuch')
    expect(run.code).toBe(1)
    expect(run.report.error?.message).toContain('nonesuch')
    expect(await exists('typed_unknown')).toBe(false)
    expect((await loadText('typed_unknown', 'a\n1\n')).code).toBe(0)
  })
})

describe('--no-create', () => {
  test('fails where there is no table, with a code of its own and nothing begun', async () => {
    const run = await loadText('not_created', 'a\n1\n', '--no-create')
    expect(run.code).toBe(2)
    expect(run.report.error?.code).toBe('TARGET_NO_TABLE')
    expect(run.report.error?.message).toContain('public.not_created')
    expect(await exists('not_created')).toBe(false)
    expect((await loadText('not_created', 'a\n1\n')).code).toBe(0)
  })

  test('loads where there is one', async () => {
    await db.query('create table there (a int)')
    expect((await loadText('there', 'a\n1\n', '--no-create')).code).toBe(0)
    expect(await rowsOf('there')).toEqual([[1]])
  })
})
