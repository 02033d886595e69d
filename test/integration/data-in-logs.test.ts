import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { runLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

/** A value that is to be seen in the input and among the rejects alone. */
const CANARY = 'Hunter Two'

interface Case {
  readonly name: string
  /** SQLSTATE or code. */
  readonly code: string
  readonly table: string
  readonly row: string | Buffer
  readonly stage?: string
}

const CASES: readonly Case[] = [
  { name: 'type', code: '22P02', table: 'id int, note int', row: `7,${CANARY}` },
  { name: 'date', code: '22007', table: 'id int, note date', row: `7,${CANARY}` },
  { name: 'json', code: '22P02', table: 'id int, note json', row: `7,{${CANARY}}` },
  { name: 'enum', code: '22P02', table: 'id int, note said', row: `7,${CANARY}` },
  { name: 'array', code: '22P02', table: 'id int, note int[]', row: `7,{${CANARY}}` },
  {
    name: 'not_null',
    code: '23502',
    table: 'id int, note text, more int not null',
    row: `7,${CANARY},`,
  },
  {
    name: 'check',
    code: '23514',
    table: `id int, note text check (note not like 'Hunter%')`,
    row: `7,${CANARY}`,
  },
  { name: 'domain', code: '23514', table: 'id int, note unhunted', row: `7,${CANARY}` },
  {
    name: 'unique',
    code: '23505',
    table: 'id int, note text unique',
    row: `7,${CANARY}\n8,${CANARY}`,
  },
  { name: 'key', code: '23503', table: 'id int, note text references known', row: `7,${CANARY}` },
  { name: 'long', code: '22001', table: 'id int, note varchar(5)', row: `7,${CANARY}` },
  {
    name: 'exclude',
    code: '23P01',
    table: 'id int, note text, exclude (note with =)',
    row: `7,${CANARY}\n8,${CANARY}`,
  },
  { name: 'trigger', code: 'P0001', table: 'id int, note text', row: `7,${CANARY}` },
  {
    name: 'ragged',
    code: 'SOURCE_BAD_ROW',
    table: 'id int, note text',
    row: `7,${CANARY},${CANARY}`,
  },
  {
    name: 'utf8',
    code: 'SOURCE_BAD_ROW',
    table: 'id int, note text',
    row: Buffer.from(`7,${CANARY}\xff`, 'latin1'),
  },
  { name: 'nul', code: 'SOURCE_BAD_ROW', table: 'id int, note text', row: `7,${CANARY}\0` },
  {
    name: 'throws',
    code: 'STAGE_THREW',
    table: 'id int, note text',
    row: `7,${CANARY}`,
    stage: `filter((row: any) => { if (row.note.startsWith('Hunter')) throw new TypeError('bad: ' + row.note); return true })`,
  },
  {
    name: 'cast',
    code: 'STAGE_CAST',
    table: 'id int, note date',
    row: `7,${CANARY}`,
    stage: `cast({ note: { type: 'date', format: 'dd/MM/yyyy' } })`,
  },
  {
    name: 'validate',
    code: 'STAGE_INVALID',
    table: 'id int, note text',
    row: `7,${CANARY}`,
    stage: `validate({ note: { pattern: '^[a-z]*$' } })`,
  },
  {
    name: 'value',
    code: 'STAGE_VALUE',
    table: 'id int, note text',
    row: `7,${CANARY}`,
    stage: `derive({ note: (row: any) => (row.note.startsWith('Hunter') ? (() => row.note) as any : row.note) })`,
  },
]

describe('a value of a row', () => {
  test('that is refused is in no log, message or report, whatever it is refused for', async () => {
    await db.query(`
      create type said as enum ('a'); create domain unhunted as text check (value not like 'Hunter%');
      create table known (note text primary key);
      insert into known values ('a');
      create function no_hunters() returns trigger language plpgsql as $$ begin
        if new.note like 'Hunter%' then raise exception 'no row % here', new.id using detail = new.note, hint = new.note; end if;
        return new; end $$`)
    for (const one of CASES) {
      const table = `case_${one.name}`
      await db.query(`create table ${table} (${one.table})`)
      if (one.name === 'trigger') {
        await db.query(
          `create trigger t before insert on ${table} for each row execute function no_hunters()`,
        )
      }
      const header = one.name === 'not_null' ? 'id,note,more\n' : 'id,note\n'
      const bytes = Buffer.concat([Buffer.from(header), Buffer.from(one.row), Buffer.from('\n')])
      const file = await dir.write(`${table}.csv`, bytes)
      const stages = one.stage === undefined ? [] : ['--stage', await stageFile(one)]
      const report = dir.path(`${table}.json`)
      for (const limit of ['0', '100']) {
        const args = [file, '--header', '--max-errors', limit, '--log-level', 'debug', '--restart']
        const run = await runLoad(db, [...args, ...stages, '--report', report])
        const said = run.stdout + run.stderr + (await readFile(report, 'utf8'))
        expect(run.code, `${one.name}: ${run.stderr}`).toBe(limit === '0' ? 1 : 0)
        expect(said, one.name).not.toContain('Hunter')
      }
      const kept = await db.query<{ code: string; raw: Buffer }>(
        `select code, raw from millrace.reject where job = (select id from millrace.job where key like $1)`,
        [`%${table}`],
      )
      expect(
        kept.map(({ code }) => code),
        one.name,
      ).toEqual([one.code])
      expect(kept[0]!.raw.includes(CANARY), one.name).toBe(true)
    }
    const elsewhere = ['version', 'job', 'run', 'input', 'claim']
    for (const name of elsewhere) {
      const rows = await db.query(
        `select t::text from millrace.${name} t where t::text like '%Hunter%'`,
      )
      expect(rows, name).toEqual([])
    }
  })
})

async function stageFile({ name, stage }: Case): Promise<string> {
  const text = `import { cast, derive, filter, validate } from 'millrace'\nvoid [cast, derive, filter, validate]\n`
  return dir.write(`${name}.ts`, `${text}export default ${stage!}\n`)
}

describe('control characters', () => {
  const EVIL = `\u001b]0;owned\u0007\u001b[31m\u009b2J\u007fred`

  /** Whether something is in a text that a terminal would obey. */
  function obeyed(text: string): boolean {
    return /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text)
  }

  test('of names in a header, of a file, a job and a stage reach no terminal', async () => {
    const file = await dir.write(`${EVIL}.csv`, `id,"${EVIL}"\n1,"${EVIL}"\n2,x\n`)
    const stage = await dir.write(`${EVIL}.ts`, `throw new Error('bad')\n`)
    const to = ['--to', db.url]
    const commands = [
      ['inspect', file],
      ['inspect', file, '--json'],
      ['load', file, '--table', 'evil', '--job', EVIL, '--log-level', 'debug', ...to],
      ['load', file, '--table', 'evil', '--job', EVIL, '--json', ...to],
      ['load', file, '--table', EVIL, '--no-create', ...to],
      ['load', `${file}${EVIL}`, ...to],
      ['load', file, '--table', 'evil_stage', '--stage', stage, ...to],
      ['load', file, '--types', `${EVIL}=${EVIL}`, '--table', 'evil_type', ...to],
      ['status', ...to],
      ['status', '--json', ...to],
    ]
    for (const command of commands) {
      const run = await runCli(command)
      expect(obeyed(run.stdout + run.stderr), `${command.join(' ')}: ${run.stderr}`).toBe(false)
      expect(run.stdout + run.stderr).toContain('red')
    }
    const [column] = JSON.parse((await runCli(['inspect', file, '--json'])).stdout).columns.slice(1)
    expect(column.name).toBe(EVIL)
  })
})
