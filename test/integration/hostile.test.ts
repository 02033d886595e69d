import { existsSync, readFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { corporaFolder } from '../helpers/corpora.ts'
import { useDatabase } from '../helpers/database.ts'
import { noBackendLeft, runLoad, startLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const MEBIBYTE = 1 << 20
/** What no message may show. */
const SECRET = 'hunter2'

const db = useDatabase()
const dir = useTempDir()

describe('a quote that is never closed', () => {
  /** The most memory a process had, as the kernel counts it. */
  async function peakMemory(pid: number): Promise<number> {
    const text = await readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => '')
    return Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024
  }

  test.each(['given', 'own'])(
    'in a file of 40 MB is an error with the line where it opened, in bounded memory: table %s',
    async (kind) => {
      const table = `unclosed_${kind}`
      const file = dir.path(`${table}.csv`)
      const handle = await open(file, 'w')
      await handle.write('id,note\n')
      const rows = Array.from({ length: 20_000 }, (_, i) => `${String(i)},"two\nlines"\n`)
      await handle.write(rows.join(''))
      await handle.write(`20000,"${SECRET} opened here\n`)
      const piece = Buffer.from(`1,${SECRET}\n`.repeat(100_000))
      for (let bytes = 0; bytes < 40e6; bytes += piece.length) await handle.write(piece)
      await handle.close()
      if (kind === 'given') await db.query(`create table ${table} (id int, note text)`)

      const load = startLoad(db, [file, '--table', table, '--chunk-size', '1MiB'])
      let peak = 0
      const timer = setInterval(() => {
        void peakMemory(load.process.pid!).then((bytes) => (peak = Math.max(peak, bytes)))
      }, 20)
      const run = await load.ended
      clearInterval(timer)
      expect(run.code, run.stderr).toBe(1)
      expect(run.report.error?.code).toBe('SOURCE_ROW_TOO_LARGE')
      expect(run.report.error?.where).toMatchObject({ record: 20_002, line: 40_002 })
      expect(run.report.error?.message).toContain('line 40002')
      expect(run.stdout + run.stderr).not.toContain(SECRET)
      expect(peak).toBeGreaterThan(30 * MEBIBYTE)
      expect(peak).toBeLessThan(256 * MEBIBYTE)
      await noBackendLeft(db)
    },
  )

  test('in a small file is an error with the line where it opened', async () => {
    await db.query('create table unclosed_small (a int, b text)')
    const file = await dir.write('unclosed_small.csv', `a,b\n1,"x\ny"\n2,"${SECRET}\n3,z\n`)
    const run = await runLoad(db, [file])
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('SOURCE_UNTERMINATED_QUOTE')
    expect(run.report.error?.where).toMatchObject({ source: file, record: 3, line: 4 })
    expect(run.stdout + run.stderr).not.toContain(SECRET)
  })
})

describe('bytes that cannot be text', () => {
  const bad: [string, number[]][] = [
    ['NUL', [0]],
    ['a lone continuation byte', [0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['half of a surrogate pair', [0xed, 0xa0, 0x80]],
    ['a character cut off', [0xe2, 0x82]],
    ['Latin-1', [0xe9]],
    ['behind the last plane', [0xf4, 0x90, 0x80, 0x80]],
  ]

  test.each(bad)('are refused with record, line and byte: %s', async (what, bytes) => {
    const table = `bad_${what.toLowerCase().replaceAll(/\W+/g, '_')}`
    const rows = Array.from({ length: 500 }, (_, i) => `${String(i + 1)},"zwölf\nLinien"\n`)
    const before = `id,note\n${rows.join('')}`
    const file = await dir.write(
      `${table}.csv`,
      Buffer.concat([
        Buffer.from(`${before}501,${SECRET}`),
        Buffer.from(bytes),
        Buffer.from(`${SECRET}\n502,x\n`),
      ]),
    )
    await db.query(`create table ${table} (id int, note text)`)
    const run = await runLoad(db, [file, '--chunk-size', '2KiB', '--lanes', '1'])
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('SOURCE_BAD_ROW')
    expect(run.report.error?.message).toContain('record 502 (line 1002)')
    expect(run.report.error?.where).toMatchObject({
      source: file,
      record: 502,
      line: 1002,
      byte: Buffer.byteLength(before),
    })
    expect(run.stdout + run.stderr).not.toContain(SECRET)
    const loaded = Number(await db.value(`select count(*)::int from ${table}`))
    expect(loaded).toBeGreaterThan(400)
    expect(loaded).toBeLessThanOrEqual(500)
  })

  test('are refused before a table is made for them', async () => {
    const bytes = Buffer.from('a,b\n1,x\n2,y\u0000\n')
    const run = await runLoad(db, [await dir.write('nul_own.csv', bytes)])
    expect(run.code).toBe(1)
    expect(run.report.error?.where).toMatchObject({ record: 3, line: 3, byte: 8 })
    expect(await db.value(`select to_regclass('nul_own')`)).toBeNull()
  })

  test('are refused in the header too', async () => {
    const bytes = Buffer.from([0x61, 0x2c, 0xe9, 0x0a, 0x31, 0x2c, 0x32, 0x0a])
    const run = await runLoad(db, [await dir.write('bad_header.csv', bytes)])
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('SOURCE_BAD_HEADER')
  })
})

describe('a field of 20 MiB', () => {
  async function writeHuge(name: string): Promise<string> {
    const content = `id,note\n1,a\n2,"${'"",\n'.repeat(5 * MEBIBYTE)}"\n3,b\n`
    return dir.write(name, content)
  }

  test('is refused with its place: a record may have 16 MiB', async () => {
    await db.query('create table huge_refused (id int, note text)')
    const run = await runLoad(db, [await writeHuge('huge_refused.csv')])
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('SOURCE_ROW_TOO_LARGE')
    expect(run.report.error?.where).toMatchObject({ record: 3, line: 3 })
    expect(run.report.error?.hint).toContain('--max-record')
    await noBackendLeft(db)
  })

  test('is loaded as it is with --max-record 32MiB', async () => {
    const run = await runLoad(db, [await writeHuge('huge.csv'), '--max-record', '32MiB'])
    expect(run.code, run.stderr).toBe(0)
    expect(
      await db.query(
        `select id, octet_length(note) as bytes, md5(note) = md5(repeat(e'",\\n', 5 * 1024 * 1024)) as same
           from huge where id = 2`,
      ),
    ).toEqual([{ id: 2, bytes: 15 * MEBIBYTE, same: true }])
    expect(await db.value('select count(*)::int from huge')).toBe(3)
  })
})

describe('hostile names', () => {
  const names = [
    'a"); DROP TABLE victim; --',
    `b'); DROP TABLE victim; --`,
    'c""',
    'd\\',
    'e\nf',
    '$1',
    ' ',
    'select',
    'żółw 🐢',
    'a"b"c',
    '%s',
    '__proto__',
    'constructor',
  ]

  test('of columns become columns of these names, and nothing else happens', async () => {
    await db.query('create table victim (a int)')
    const header = names.map((name) => `"${name.replaceAll('"', '""')}"`).join(',')
    const file = await dir.write(
      'hostile_names.csv',
      `${header}\n${names.map((_, i) => i).join()}\n`,
    )
    for (const job of ['naughty made', 'naughty matched']) {
      const run = await runLoad(db, [file, '--header', '--job', job])
      expect(run.code, run.stderr).toBe(0)
    }
    expect(await columnsOf('hostile_names')).toEqual(names)
    const values = names.map((name, i) => [name, i])
    expect(await entriesOf('hostile_names')).toEqual([values, values])
    expect(await db.value('select count(*)::int from victim')).toBe(0)
  })

  test('of tables, schemas and jobs are names and nothing else', async () => {
    const file = await dir.write('named.csv', 'a\n1\n')
    const table = `t"; drop table victim; --`
    const state = `s"; drop table victim; --`
    const args = ['--table', `"${table.replaceAll('"', '""')}"`]
    const run = await runLoad(db, [file, ...args, '--state-schema', state, '--job', `'; drop --`])
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value(`select count(*)::int from "${table.replaceAll('"', '""')}"`)).toBe(1)
    expect(await db.value(`select key from "${state.replaceAll('"', '""')}".job`)).toBe(
      `'; drop --`,
    )
    expect(await db.value('select count(*)::int from victim')).toBe(0)
  })

  test('of a file become the plain name of a table', async () => {
    const file = await dir.write(`x"; drop table victim; --.v2.csv`, 'a\n1\n')
    const run = await runLoad(db, [file])
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value('select count(*)::int from x_drop_table_victim')).toBe(1)
  })

  test.each([
    ['64 bytes', 'x'.repeat(64)],
    ['64 bytes in 32 characters', 'é'.repeat(32)],
  ])('of more than 63 bytes are refused, not cut short: %s', async (_, name) => {
    const file = await dir.write(`long_name_${String(name.length)}.csv`, `a,${name}\n1,2\n`)
    const run = await runLoad(db, [file])
    expect(run.code).toBe(2)
    expect(run.report.error?.code).toBe('CONFIG_BAD_VALUE')
    expect(run.report.error?.message).toContain('63 bytes')
    expect(
      await db.value('select to_regclass($1)', [`long_name_${String(name.length)}`]),
    ).toBeNull()
  })

  test('of 63 bytes are kept', async () => {
    const name = 'é'.repeat(31) + 'x'
    const run = await runLoad(db, [await dir.write('name_63.csv', `${name}\n1\n`)])
    expect(run.code, run.stderr).toBe(0)
    expect(await columnsOf('name_63')).toEqual([name])
  })
})

async function columnsOf(table: string): Promise<string[]> {
  const found = await db.query<{ attname: string }>(
    `select attname::text from pg_attribute
      where attrelid = $1::regclass and attnum > 0 order by attnum`,
    [table],
  )
  return found.map(({ attname }) => attname)
}

/** The rows as pairs of name and value; an object would have no room for some of the names. */
async function entriesOf(table: string): Promise<[string, unknown][][]> {
  const rows = await db.query<{ pairs: [string, unknown][] }>(
    `select (select json_agg(json_build_array(key, value)) from json_each(row_to_json(t))) as pairs
       from ${table} t`,
  )
  return rows.map(({ pairs }) => pairs)
}

const naughty = join(corporaFolder() ?? '.', 'naughty-strings')

const hasNaughty = existsSync(join(naughty, 'blns.json'))

describe.skipIf(!hasNaughty)('the big list of naughty strings', () => {
  // What is skipped is collected all the same.
  const read = (name: string): string => readFileSync(join(naughty, name), 'utf8')
  const strings = (hasNaughty ? JSON.parse(read('blns.json')) : []) as string[]
  const lines = hasNaughty ? read('blns.txt').split('\n') : []
  const all = [...strings, ...lines]
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`

  test.each([
    ['text', '1MiB', all],
    ['small_chunks', '1KiB', all],
    // One chunk has a value that is not canonical: it goes as COPY text, not binary.
    ['copy_text', '1MiB', all],
  ])('comes back byte for byte: %s', async (name, chunkSize, cells) => {
    const table = `naughty_${name}`
    await db.query(`create table ${table} (id int, cell text, more float8)`)
    const more = name === 'copy_text' ? ' 1.5 ' : '1.5'
    const rows = cells.map((cell, i) => `${String(i)},${quoted(cell)},${more}\n`)
    const file = await dir.write(`${table}.csv`, `id,cell,more\n${rows.join('')}`)
    const run = await runLoad(db, [file, '--chunk-size', chunkSize, '--delimiter', ','])
    expect(run.code, run.stderr).toBe(0)
    const loaded = await db.query<{ cell: string; hex: string }>(
      `select cell, encode(convert_to(cell, 'UTF8'), 'hex') as hex from ${table} order by id`,
    )
    expect(loaded.map(({ cell }) => cell)).toEqual(cells)
    expect(loaded.map(({ hex }) => hex)).toEqual(
      cells.map((cell) => Buffer.from(cell).toString('hex')),
    )
  })

  test('can be names of columns, as far as names can be that long', async () => {
    const names = [...new Set(all)].filter(
      (name) => name !== '' && Buffer.byteLength(name) <= 63 && name !== '\ufeff',
    )
    expect(names.length).toBeGreaterThan(400)
    const header = names.map(quoted).join(',')
    const values = names.map((_, i) => String(i)).join(',')
    const args = ['--delimiter', ',', '--header']
    const file = await dir.write('naughty_names.csv', `${header}\n${values}\n`)
    for (const job of ['naughty_made', 'naughty_matched']) {
      const run = await runLoad(db, [file, ...args, '--job', job])
      expect(run.code, run.stderr).toBe(0)
    }
    expect(await columnsOf('naughty_names')).toEqual(names)
    const entries = names.map((name, i) => [name, i])
    expect(await entriesOf('naughty_names')).toEqual([entries, entries])
  })
})
