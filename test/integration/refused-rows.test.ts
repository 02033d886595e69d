import { describe, expect, test } from 'vitest'
import { load, MillraceError } from '../../dist/index.js'
import { useDatabase } from '../helpers/database.ts'
import { claimedRows, noBackendLeft, runLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 1000
/** What no message may show. */
const SECRET = 'hunter2'

const db = useDatabase()
const dir = useTempDir()

/** Rows that take two lines each; the one of `bad`, counted from 1, is another. */
function csv(bad: number, row: string): string {
  const rows = Array.from({ length: ROWS }, (_, i) =>
    i + 1 === bad ? `${row}\n` : `${String(i + 1)},"${SECRET}\nnote ${String(i + 1)}"\n`,
  )
  return `id,note\n${rows.join('')}`
}

function argsOf(table: string, file: string): string[] {
  return [file, '--table', table, '--job', table, '--chunk-size', '2KiB', '--lanes', '1']
}

describe('a row with another number of fields', () => {
  test.each([
    ['one', '700', /1 field/],
    ['three', `700,${SECRET},x`, /3 fields/],
  ])('is an error with file, record and line: %s', async (name, row, reason) => {
    const table = `ragged_${name}`
    await db.query(`create table ${table} (id int, note text)`)
    const file = await dir.write(`${table}.csv`, csv(700, row))
    const run = await runLoad(db, argsOf(table, file))
    expect(run.code).toBe(1)
    expect(run.report.error?.code).toBe('SOURCE_BAD_ROW')
    expect(run.report.error?.message).toContain(`${file}: record 701 (line 1400)`)
    expect(run.report.error?.message).toMatch(reason)
    expect(run.report.error?.where).toMatchObject({ source: file, record: 701, line: 1400 })
    expect(run.stdout + run.stderr).not.toContain(SECRET)
    await expectUpTo(table, 700)
  })

  test('is found before a table is made', async () => {
    const file = await dir.write('ragged_own.csv', csv(700, '700'))
    const run = await runLoad(db, [file])
    expect(run.code).toBe(1)
    expect(run.report.error?.where).toMatchObject({ record: 701, line: 1400 })
    expect(await db.value(`select to_regclass('ragged_own')`)).toBeNull()
  })
})

/** The chunks before the bad row are there, without a gap, and nothing else is. */
async function expectUpTo(table: string, bad: number): Promise<void> {
  await noBackendLeft(db)
  const [found] = await db.query<{ rows: number; last: number }>(
    `select count(*)::int as rows, max(id) as last from ${table}`,
  )
  expect(found!.last).toBe(found!.rows)
  expect(found!.last).toBeLessThan(bad)
  expect(found!.last).toBeGreaterThan(bad - 100)
  expect(await claimedRows(db, table)).toBe(found!.rows)
}

describe('a row that the server refuses', () => {
  const cases = [
    {
      name: 'check',
      state: '23514',
      table: `id int, note text, constraint cause check (id <> 700)`,
      mend: 'drop constraint cause',
    },
    {
      name: 'not_null',
      state: '23502',
      row: `700,`,
      table: `id int, note text not null`,
      mend: 'alter column note drop not null',
    },
    {
      name: 'unique',
      state: '23505',
      row: `3,"${SECRET}\nnote 700"`,
      table: `id int constraint cause unique, note text`,
      mend: 'drop constraint cause',
    },
  ]

  test.each(cases)(
    'is named by record and line, also behind other chunks, and the next run goes on: $name',
    async ({ name, state, row, table: columns, mend }) => {
      const table = `refused_${name}`
      await db.query(`create table ${table} (${columns})`)
      const file = await dir.write(`${table}.csv`, csv(700, row ?? `700,"${SECRET}\nnote 700"`))
      const run = await runLoad(db, argsOf(table, file))
      expect(run.code).toBe(1)
      expect(run.report.error?.code, run.stderr).toBe('TARGET_ROW_REFUSED')
      expect(run.report.error?.message).toContain(`SQLSTATE ${state}`)
      expect(run.report.error?.where).toMatchObject({ source: file, record: 701, line: 1400 })
      expect(run.stdout + run.stderr).not.toContain(SECRET)
      await expectUpTo(table, 700)

      await db.query(`alter table ${table} ${mend}`)
      const again = await runLoad(db, argsOf(table, file))
      expect(again.code, again.stderr).toBe(0)
      expect(await db.value(`select count(*)::int from ${table}`)).toBe(ROWS)
      expect(await claimedRows(db, table)).toBe(ROWS)
    },
  )

  test('only at the end of its chunk, for a foreign key, rolls it back, and the next run goes on', async () => {
    await db.query('create table known (id int primary key)')
    await db.query('insert into known select generate_series(1, 1000)')
    await db.query(
      'create table refused_key (id int constraint cause references known (id), note text)',
    )
    const file = await dir.write('refused_key.csv', csv(700, `8675309,"${SECRET}\nnote"`))
    const run = await runLoad(db, argsOf('refused_key', file))
    expect(run.code).toBe(1)
    expect(run.report.error?.code, run.stderr).toMatch(/^TARGET_(ROW_)?REFUSED$/)
    expect(run.stdout + run.stderr).not.toMatch(/hunter2|8675309/)
    await expectUpTo('refused_key', 700)

    await db.query('alter table refused_key drop constraint cause')
    const again = await runLoad(db, argsOf('refused_key', file))
    expect(again.code, again.stderr).toBe(0)
    expect(await claimedRows(db, 'refused_key')).toBe(ROWS)
  })

  test('for its type is named with the column, in COPY text and in a chunk of many blocks', async () => {
    await db.query('create table mistyped (id int, price numeric, note text)')
    const rows = Array.from({ length: 60_000 }, (_, i) => {
      // From row 20,000 on the values are not canonical; at row 50,000 one is none at all.
      const price = i === 49_999 ? SECRET : i > 19_999 ? ' 1.5' : '1.5'
      return `${String(i + 1)},${price},"two\nlines"\n`
    })
    const file = await dir.write('mistyped.csv', `id,price,note\n${rows.join('')}`)
    const run = await runLoad(db, [file, '--lanes', '1'])
    expect(run.report.error?.code, run.stderr).toBe('TARGET_ROW_REFUSED')
    expect(run.report.error?.where).toMatchObject({
      record: 50_001,
      line: 100_000,
      column: 'price',
    })
    expect(run.stdout + run.stderr).not.toContain(SECRET)
  })

  test('the first of several is named, by one lane', async () => {
    await db.query('create table several (id int, note text)')
    const text = csv(400, `x,1`).replace('\n900,', '\ny,')
    const run = await runLoad(db, argsOf('several', await dir.write('several.csv', text)))
    expect(run.report.error?.where).toMatchObject({ record: 401, line: 800 })
  })

  test('is not said to be loadable once it is mended in the file, since a changed file is refused', async () => {
    await db.query('create table mended (id int, note text)')
    const file = await dir.write('mended.csv', csv(700, 'x,1'))
    const run = await runLoad(db, argsOf('mended', file))
    expect(run.report.error?.code).toBe('TARGET_ROW_REFUSED')
    await dir.write('mended.csv', csv(700, '700,1'))
    const again = await runLoad(db, argsOf('mended', file))
    if (again.code === 0) {
      expect(await db.value('select count(distinct id)::int from mended')).toBe(ROWS)
    } else {
      expect(again.report.error?.code).toBe('CHECKPOINT_INPUT_CHANGED')
      expect(run.report.error?.hint).not.toMatch(/mend the row.*goes on from there/)
    }
  })
})

describe('what a server says of a value', () => {
  const cases: [string, string][] = [
    ['int', SECRET],
    ['int', `${SECRET}"x`],
    ['int', `${SECRET}": "x`],
    ['int', `a\n${SECRET}`],
    ['smallint', '8675309'],
    ['numeric(4,2)', '8675309'],
    ['varchar(3)', SECRET],
    ['bpchar(3)', SECRET],
    ['bool', SECRET],
    ['date', SECRET],
    ['date', '8675309-13-45'],
    ['timestamp', SECRET],
    ['timestamptz', '2024-01-01 00:00 Nowhere/Hunter'],
    ['interval', SECRET],
    ['uuid', SECRET],
    ['json', `{${SECRET}`],
    ['jsonb', `{"a": ${SECRET}}`],
    ['bytea', `\\x${SECRET}`],
    ['int[]', `{${SECRET}}`],
    ['int[]', SECRET],
    ['inet', SECRET],
    ['int4range', SECRET],
    ['mood', SECRET],
    ['short', SECRET],
    ['bit(3)', SECRET],
    ['point', SECRET],
    ['xid', SECRET],
    ['tsquery', `${SECRET} & & b`],
    ['regclass', SECRET],
    ['regtype', SECRET],
    ['money', SECRET],
  ]

  test('never comes out with the value in it', async () => {
    await db.query(
      `create type mood as enum ('sad'); create domain short as text check (value < 'b')`,
    )
    const logged: object[] = []
    const note = (fields: object, message: string): unknown => logged.push({ ...fields, message })
    const log = { debug: note, info: note, warn: note, error: note }
    const leaks: string[] = []
    for (const [i, [type, value]] of cases.entries()) {
      const table = `said_${String(i)}`
      await db.query(`create table ${table} (id int, cell ${type})`)
      const cell = `"${value.replaceAll('"', '""')}"`
      const input = await dir.write(`${table}.csv`, `id,cell\n1,${cell}\n`)
      const dialect = { header: true, delimiter: ',' }
      const error = await load({
        maxErrors: 0,
        input,
        to: db.url,
        table,
        lanes: 1,
        dialect,
        log,
      }).catch((thrown: unknown) => thrown as MillraceError)
      if (!(error instanceof MillraceError)) throw new Error(`${type} took ${value}`)
      expect(error.code, type).toBe('TARGET_ROW_REFUSED')
      expect(error.where?.record, type).toBe(2)
      const { message, hint, where } = error
      if (holdsSecret(JSON.stringify({ message, hint, where }))) leaks.push(`${type}: ${message}`)
    }
    expect(leaks).toEqual([])
    expect(logged.filter((entry) => holdsSecret(JSON.stringify(entry)))).toEqual([])
  })
})

function holdsSecret(text: string): boolean {
  return /hunter|8675309/i.test(text)
}

describe('a chunk that the server refuses at its COMMIT', () => {
  test('is not loaded, nor taken for loaded; those before it are', async () => {
    await db.query(`
      create table late (id int, note text);
      create table late_block as select 500 as id;
      create function refuse_late() returns trigger language plpgsql as $$
      begin
        if exists (select from late_block b where b.id = new.id) then raise unique_violation; end if;
        return null;
      end $$;
      create constraint trigger late_check after insert on late deferrable initially deferred
        for each row execute function refuse_late()`)
    const file = await dir.write('late.csv', csv(0, ''))
    const run = await runLoad(db, argsOf('late', file))
    expect([run.code, run.report.error?.code]).toEqual([1, 'TARGET_REFUSED'])
    const loaded = await db.query('select count(*)::int, max(id) from late')
    expect(loaded[0]).toEqual({ count: await claimedRows(db, 'late'), max: loaded[0]!['count'] })
    expect(loaded[0]!['count']).toBeGreaterThan(300)
    expect(loaded[0]!['count']).toBeLessThan(500)
    await db.query('drop table late_block; create table late_block (id int)')
    expect((await runLoad(db, argsOf('late', file))).code).toBe(0)
    const all = await db.query('select count(*)::int, count(distinct id)::int as ids from late')
    expect(all[0]).toEqual({ count: ROWS, ids: ROWS })
    expect(await claimedRows(db, 'late')).toBe(ROWS)
  })
})
