import { chmod, mkdir, symlink } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { load } from '../../src/index.ts'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { runLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const NOTHING = { read: 0, loaded: 0, rejected: 0, filtered: 0, added: 0, unchanged: 0 }

describe('an input that does not exist', () => {
  test('is an error by default', async () => {
    const run = await runLoad(db, [dir.path('none.csv'), '--table', 'none'])
    expect([run.code, run.report.error?.code]).toEqual([1, 'SOURCE_NOT_FOUND'])
  })

  test('is nothing to load with --missing ok: a warning, exit 0, a summary that says so', async () => {
    const path = dir.path('none.csv')
    const report = dir.path('report.json')
    const run = await runLoad(db, [path, '--table', 'none', '--missing', 'ok', '--report', report])
    expect(run.code, run.stderr).toBe(0)
    expect(run.report).toMatchObject({ status: 'missing', rows: NOTHING, target: 'none' })
    expect(JSON.parse(run.stderr)).toMatchObject({ level: 40, source: path })
    expect(await db.value(`select to_regclass('none') is null`)).toBe(true)
  })

  test('is told to a person, and set in the environment', async () => {
    const path = dir.path('none.csv')
    const env = { MILLRACE_MISSING: 'ok' }
    const run = await runCli(['load', path, '--to', db.url], { env })
    expect([run.code, run.stdout.trim()]).toEqual([
      0,
      `missing: there is no ${path}; nothing was loaded`,
    ])
  })

  test('may be what a link points to', async () => {
    await symlink(dir.path('gone.csv'), dir.path('link.csv'))
    const summary = await load({ input: dir.path('link.csv'), to: db.url, missing: 'ok' })
    expect(summary).toMatchObject({ status: 'missing', run: 0, rows: NOTHING })
  })

  test('is loaded once it is there', async () => {
    const args = [dir.path('later.csv'), '--missing', 'ok']
    expect((await runLoad(db, args)).report.status).toBe('missing')
    await dir.write('later.csv', 'a\n1\n')
    expect((await runLoad(db, args)).report.status).toBe('complete')
    expect(await db.value('select count(*)::int from later')).toBe(1)
  })
})

describe('an input that cannot be opened is an error, also with --missing ok', () => {
  test('a directory', async () => {
    const run = await runLoad(db, [dir.path('.'), '--table', 'none', '--missing', 'ok'])
    expect([run.code, run.report.error?.code]).toEqual([1, 'SOURCE_UNREADABLE'])
  })

  test('one below what is no directory', async () => {
    const file = await dir.write('file.csv', 'a\n1\n')
    const run = await runLoad(db, [`${file}/in.csv`, '--table', 'none', '--missing', 'ok'])
    expect([run.code, run.report.error?.code]).toEqual([1, 'SOURCE_NOT_FOUND'])
  })

  test('one in a directory that may not be entered', async () => {
    await mkdir(dir.path('closed'))
    await chmod(dir.path('closed'), 0)
    const input = dir.path('closed/in.csv')
    const asRoot = process.geteuid?.() === 0
    if (asRoot) process.seteuid?.(65_534)
    try {
      const options = { input, to: db.url, table: 'none', missing: 'ok' } as const
      await expect(load(options)).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE' })
    } finally {
      if (asRoot) process.seteuid?.(0)
    }
  })
})
