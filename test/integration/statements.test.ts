import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromRows, tableWriter } from '../../src/index.ts'
import { useDatabase } from '../helpers/database.ts'
import { runLoad } from '../helpers/loads.ts'
import { openRecordingProxy, type RecordingProxy } from '../helpers/recording-proxy.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const proxies: RecordingProxy[] = []

beforeAll(() => db.query('create table victim (a int)'))
afterAll(async () => {
  for (const proxy of proxies) await proxy.close()
})

/** What names a load is made of. */
interface Names {
  readonly file: string
  readonly table: string
  readonly state: string
  readonly job: string
  readonly columns: readonly string[]
}

const PLAIN: Names = {
  file: 'plain',
  table: 'plain',
  state: 'plainstate',
  job: 'plainjob',
  columns: ['A a', 'B b', 'C c'],
}

const HOSTILE: readonly Names[] = [
  `a"); DROP TABLE victim; --`,
  `b'; DROP TABLE victim; --`,
  `c\\'; DROP TABLE victim; --`,
  `$millrace$; DROP TABLE victim; $millrace$`,
  `$1"; DROP TABLE victim; /*`,
  `e\n"; DROP TABLE victim;\r\n--`,
  `"; COPY victim FROM PROGRAM 'id`,
  `żółw" 🐢 \u202e\u0000`.replace('\u0000', ''),
  'x'.repeat(60),
].map((name) => ({
  file: name.replaceAll('/', '_').slice(0, 60),
  table: name,
  state: `s${name}`.slice(0, 63),
  job: name,
  columns: ['1', '2', '3'].map((n) => `${n}${name}`),
}))

/** Loads rows of which one is refused, into a table that is created and, again, that is there; tells what was said. */
async function statementsOf(names: Names): Promise<string[]> {
  const proxy = await openRecordingProxy(db.url)
  proxies.push(proxy)
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
  const header = names.columns.map(quoted).join(',')
  const good = await dir.write(`${names.file}.csv`, `${header}\n1,2,x\n3,4,y\n`)
  const bad = await dir.write(
    `${names.file}.bad.csv`,
    `${header}\n5,6,x\n7,-4,y\n8,oops,z\n5,9,z\n`,
  )
  const through = { ...db, url: proxy.url, query: db.query, value: db.value }
  const args = [
    '--table',
    quoted(names.table),
    '--state-schema',
    names.state,
    '--lanes',
    '1',
    '--header',
  ]
  const made = await runLoad(through, [good, ...args, '--job', names.job])
  expect(made.code, made.stderr).toBe(0)
  const table = quoted(names.table)
  await db.query(`alter table ${table} add primary key (${quoted(names.columns[0]!)})`)
  await db.query(`alter table ${table} add check (${quoted(names.columns[1]!)} > 0)`)
  const again = [bad, ...args, '--job', `${names.job} 2`, '--max-errors', '100']
  const kept = await runLoad(through, again)
  expect(kept.code, kept.stderr).toBe(0)
  expect(kept.report.rows, kept.stderr).toMatchObject({ loaded: 1, rejected: 3 })
  return proxy.statements()
}

/** Statements without what is quoted, and without numbers: those of ids and places differ. */
function skeletons(statements: readonly string[]): string[] {
  const quoted = /"(?:[^"]|"")*"|E'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|\$millrace\d*\$/g
  const bare = statements.map((sql) =>
    sql
      .replace(quoted, (found) =>
        found.startsWith('"') ? 'NAME' : found.startsWith('$') ? 'TAG' : 'TEXT',
      )
      .replace(/-?\b\d+\b/g, '0')
      .replace(/\s+/g, ' '),
  )
  return [...new Set(bare)].sort()
}

describe('a load with hostile names', () => {
  test('says the same to the server as one with plain names', async () => {
    const plain = skeletons(await statementsOf(PLAIN))
    expect(plain.length).toBeGreaterThan(30)
    expect(plain.some((sql) => sql.startsWith('do '))).toBe(true)
    expect(skeletons([`create table "a" (x int); drop table victim`])).not.toEqual(
      skeletons([`create table "a" (x int)`]),
    )
    for (const names of HOSTILE) {
      const found = skeletons(await statementsOf(names))
      expect(
        found.filter((sql) => !plain.includes(sql)),
        names.table,
      ).toEqual([])
    }
    expect(await db.value('select count(*)::int from victim')).toBe(0)
  })
})

describe('a load of values full of SQL', () => {
  test('sends them as data of COPY and in no statement', async () => {
    const proxy = await openRecordingProxy(db.url)
    proxies.push(proxy)
    const canary = 'canary_4711'
    const values = [
      `'); DROP TABLE victim; -- ${canary}`,
      `"; DROP TABLE victim; -- ${canary}`,
      `$millrace$; DROP TABLE victim; -- ${canary}`,
      `\\'; DROP TABLE victim; -- ${canary}`,
      `\\.\nDROP TABLE victim; -- ${canary}`,
      `$(id) \`id\` | id ${canary}`,
    ]
    await db.query(`create table full_of_sql (id int, note text check (length(note) < 50))`)
    const rows = [...values, ...values.map((value) => value.padEnd(60, '!'))]
    const text = rows.map((value, i) => `${String(i)},"${value.replaceAll('"', '""')}"\n`).join('')
    const file = await dir.write('full_of_sql.csv', `id,note\n${text}`)
    const stage = await dir.write(
      'id.ts',
      `import { dedupe, enrich } from 'millrace'
       export default [dedupe('note'), enrich('note', { table: 'full_of_sql', key: 'note', columns: [] })]\n`,
    )
    const through = { ...db, url: proxy.url, query: db.query, value: db.value }
    for (const args of [[], ['--stage', stage, '--job', 'staged']]) {
      const run = await runLoad(through, [file, '--max-errors', '100', ...args])
      expect(run.code, run.stderr).toBe(0)
    }
    const types = new Set(
      proxy.sent.filter(({ body }) => body.includes(canary)).map(({ type }) => type),
    )
    expect([...types].sort()).toEqual(['B', 'd']) // Bind, of the look-up, and CopyData
    const notes = await db.query<{ note: string }>('select distinct note from full_of_sql')
    expect(notes.map(({ note }) => note).sort()).toEqual([...values].sort())
    expect(await db.value('select count(*)::int from victim')).toBe(0)
  })
})

describe('types of columns', () => {
  test('that are more than the name of a type are refused, in streams too', async () => {
    const evil = 'int); drop table victim; --'
    const file = await dir.write('typed.csv', 'a\n1\n')
    const run = await runLoad(db, [file, '--types', `a=${evil}`])
    expect(run.report.error?.code).toBe('CONFIG_BAD_VALUE')
    const table = await tableWriter({
      to: db.url,
      table: 'typed',
      job: 'typed',
      types: { a: evil },
    })
    const rows = fromRows([{ a: 1 }], { columns: { a: 'int4' } })
    const loaded = pipeline(rows.chunks(table.position), table)
    await expect(loaded).rejects.toMatchObject({ code: 'CONFIG_BAD_VALUE' })
    expect(await db.value('select count(*)::int from victim')).toBe(0)
  })
})

describe('functions of somebody else’s', () => {
  test('with the names of those that Millrace asks are not called', async () => {
    const traps: [string, string][] = [
      ['hashtextextended', 'text, int'],
      ['make_interval', 'text'],
      ['pg_relation_filenode', 'oid'],
      ['quote_ident', 'name'],
      ['to_jsonb', 'pg_index'],
      ['textout', 'varchar'],
      ['unnest', 'int2[]'],
      ['unnest', 'name[]'],
      ['format_type', 'oid, int8'],
      ['pg_get_expr', 'pg_node_tree, int8'],
      ['current_schemas', 'text'],
    ]
    for (const [name, types] of traps) {
      const argument = name === 'make_interval' ? `secs ${types}` : types
      await db.query(`create function public.${name}(${argument}) returns text language plpgsql as $$
        begin raise exception 'trapped in ${name}'; end $$`)
    }
    await db.query('create table trapped (id int primary key, note text check (length(note) < 4))')
    const file = await dir.write('trapped.csv', 'id,note\n1,a\n1,b\n2,long\n3,c\n')
    const args = [file, '--max-errors', '100', '--state-schema', 'trapped_state']
    const stopped = await runLoad(db, [...args, '--chunk-size', '1KiB'])
    expect(stopped.code, stopped.stderr).toBe(0)
    const made = await runLoad(db, [...args, '--table', 'trapped_made'])
    expect(made.code, made.stderr).toBe(0)
  })

  test('that triggers, checks and domains find by the search path are found', async () => {
    await db.query(`
      create schema own;
      create function own.is_short(text) returns boolean language sql as $$ select length($1) < 4 $$;
      create function own.checked(text) returns boolean language plpgsql as $$ begin return is_short($1); end $$;
      create table own.seen (id int);
      create function own.see() returns trigger language plpgsql as $$
        begin insert into seen values (new.id); return new; end $$;
      create domain own.short as text check (own.checked(value));
      create table own.rows (id int, note own.short, more text check (own.checked(more)));
      create trigger see after insert on own.rows for each row execute function own.see()`)
    const url = new URL(db.url)
    url.searchParams.set('options', '-c search_path=own,public')
    const through = { ...db, url: url.href, query: db.query, value: db.value }
    const file = await dir.write('rows.csv', 'id,note,more\n1,a,b\n2,long,b\n3,c,long\n4,d,e\n')
    const run = await runLoad(through, [file, '--table', 'rows', '--max-errors', '100'])
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value('select count(*)::int from own.rows')).toBe(2)
    expect(await db.value('select count(*)::int from own.seen')).toBe(2)
    const made = await runLoad(through, [
      file,
      '--table',
      'made',
      '--types',
      'note=short',
      '--max-errors',
      '100',
    ])
    expect(made.code, made.stderr).toBe(0)
    expect(await db.value('select count(*)::int from own.made')).toBe(3)
  })
})
