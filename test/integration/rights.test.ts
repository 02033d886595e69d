import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { type EndedLoad, noBackendLeft, runLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const ROLE = `loader_${randomBytes(4).toString('hex')}`
let url = ''

/** What the README says that a role needs. */
async function grants(): Promise<string> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  return /```sql\n(create role loader[\s\S]*?)```/.exec(readme)![1]!
}

/** Gives the role that, and takes from everybody what they may by default. */
beforeAll(async () => {
  const database = new URL(db.url).pathname.slice(1)
  await db.query(`
    revoke all on database ${database} from public;
    revoke all on schema public from public;
    create schema sales;
    create table sales.regions (region text primary key, name text not null);
    insert into sales.regions values ('n', 'north'), ('s', 'south');
    create table sales.orders (
      id bigint primary key, region text not null references sales.regions, total numeric not null check (total > 0),
      name text, at timestamptz not null default now());`)
  await db.query((await grants()).replaceAll(/\bloader\b/g, ROLE).replaceAll(/\bshop\b/g, database))
  await db.query(
    `alter role ${ROLE} password 'secret' nosuperuser nocreatedb nocreaterole noinherit`,
  )
  const address = new URL(db.url)
  address.username = ROLE
  address.password = 'secret'
  url = address.href
})

afterAll(async () => {
  await db.query(`drop owned by ${ROLE} cascade`)
  await db.query(`drop role ${ROLE}`)
})

const asLoader = {
  query: db.query,
  value: db.value,
  get url() {
    return url
  },
}

const ROWS = 3000

async function orders(name: string, bad: (id: number) => string | null): Promise<string> {
  const rows = Array.from({ length: ROWS }, (_, i) => bad(i) ?? `${String(i)},${'ns'[i % 2]!},1.5`)
  return dir.write(`${name}.csv`, `id,region,total\n${rows.join('\n')}\n`)
}

const BAD = [
  (id: number) => `${String(id)},n,-1`, // check
  (id: number) => `${String(id)},x,1`, // foreign key
  (id: number) => `${String(id)},n,`, // not null
  (id: number) => `${String(id)},n,much`, // type
  (id: number) => `${String(id)}`, // ragged
  () => `0,n,1`, // primary key
]

function loadOrders(file: string, ...args: string[]): Promise<EndedLoad> {
  return runLoad(asLoader, [file, '--table', 'sales.orders', '--chunk-size', '8KiB', ...args])
}

describe('a role that may only what the README says', () => {
  test('loads with rejects and a look-up, goes on, and knows what is loaded', async () => {
    const stage = await dir.write(
      'name.ts',
      `import { enrich } from 'millrace'
       export default enrich('region', { table: 'sales.regions', key: 'region', columns: ['name'], missing: 'null' })\n`,
    )
    const file = await orders('rejected', (id) =>
      id % 100 === 50 ? BAD[((id / 50) % BAD.length) | 0]!(id) : null,
    )
    const args = ['--job', 'orders', '--stage', stage]
    const stopped = await loadOrders(file, ...args, '--max-errors', '5')
    expect(stopped.code, stopped.stderr).toBe(3)
    const run = await loadOrders(file, ...args, '--max-errors', '10%')
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.resumed.rows).toBeGreaterThan(0)
    expect(await db.value('select count(*)::int from sales.orders where name is not null')).toBe(
      ROWS - 30,
    )
    expect(await db.value('select count(*)::int from millrace.reject')).toBe(30)
    const again = await loadOrders(file, ...args, '--max-errors', '10%')
    expect(again.report.status).toBe('already-complete')
    await noBackendLeft(db)
  })

  test('makes the tables of the state itself, in the schema made for it, for nobody else', async () => {
    const found = await db.query<{ owner: string; open: boolean }>(
      `select tableowner as owner, has_table_privilege('public', format('millrace.%I', tablename), 'select') as open
         from pg_tables where schemaname = 'millrace'`,
    )
    expect(found.length).toBeGreaterThan(4)
    expect(found.filter(({ owner, open }) => owner !== ROLE || open)).toEqual([])
  })

  test('without TEMPORARY loads what the server takes, and is told of the right where it does not', async () => {
    await db.query(
      `do $$ begin execute format('revoke temporary on database %I from ${ROLE}', current_database()); end $$`,
    )
    await db.query('truncate sales.orders')
    const clean = await loadOrders(await orders('clean', () => null), '--job', 'clean')
    expect(clean.code, clean.stderr).toBe(0)
    await db.query('truncate sales.orders')
    const file = await orders('refused', (id) => (id === 50 ? '50,x,1' : null))
    const run = await loadOrders(file, '--job', 'refused', '--max-errors', '10%')
    expect([run.code, run.report.error?.code]).toEqual([1, 'TARGET_REFUSED'])
    expect(run.report.error?.hint).toContain('grant temporary on database')
    await db.query(
      `do $$ begin execute format('grant temporary on database %I to ${ROLE}', current_database()); end $$`,
    )
  })

  test('needs SELECT on the table only to go on', async () => {
    await db.query(`truncate sales.orders; revoke select on sales.orders from ${ROLE}`)
    const file = await orders('blind', (id) => (id === 2500 ? '2500,n' : null))
    const stopped = await loadOrders(file, '--job', 'blind')
    expect(stopped.report.error?.code, stopped.stderr).toBe('SOURCE_BAD_ROW')
    const blind = await loadOrders(file, '--job', 'blind', '--max-errors', '1%')
    await db.query(`grant select on sales.orders to ${ROLE}`)
    expect(blind.report.error?.message).toMatch(/permission denied for table orders/)
    const run = await loadOrders(file, '--job', 'blind', '--max-errors', '1%')
    expect(run.code, run.stderr).toBe(0)
  })

  test.each([
    ['insert on sales.orders', /permission denied for table orders/],
    ['usage on schema sales', /permission denied for schema sales/],
  ])('is told what it may not: %s', async (right, message) => {
    await db.query(`revoke ${right} from ${ROLE}`)
    const job = right.replaceAll(' ', '-')
    const run = await loadOrders(await orders(job, () => null), '--job', job)
    await db.query(`grant ${right} to ${ROLE}`)
    expect(run.report.error?.code).toBe('TARGET_REFUSED')
    expect(run.report.error?.message).toMatch(message)
  })

  test('makes no schema for the state where none is made for it', async () => {
    const run = await loadOrders(await orders('other', () => null), '--state-schema', 'elsewhere')
    expect(run.report.error?.code).toBe('TARGET_REFUSED')
    expect(run.report.error?.message).toMatch(/permission denied for database/)
    expect(run.report.error?.hint).toContain('create schema')
  })
})

test('the table of rejects is nobody else’s, also where tables are everybody’s by default', async () => {
  await db.query('alter default privileges grant select on tables to public')
  const file = await dir.write('open.csv', 'a\n1\n')
  const run = await runLoad(db, [file, '--table', 'open_rows', '--state-schema', 'open_state'])
  await db.query('alter default privileges revoke select on tables from public')
  expect(run.code, run.stderr).toBe(0)
  const open = `select has_table_privilege('public', $1, 'select')`
  expect(await db.value(open, ['open_rows'])).toBe(true)
  expect(await db.value(open, ['open_state.reject'])).toBe(false)
  expect(await db.value(open, ['open_state.claim'])).toBe(false)
})
