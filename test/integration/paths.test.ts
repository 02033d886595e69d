import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, open, readdir, readFile, readlink, stat, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { type LoadReport, noBackendLeft, runLoad, startLoad, until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

function makePipe(name: string): string {
  execFileSync('mkfifo', [dir.path(name)])
  return dir.path(name)
}

async function hasOpen(pid: number, path: string): Promise<boolean> {
  const folder = `/proc/${String(pid)}/fd`
  const fds = await readdir(folder).catch(() => [])
  const links = fds.map((fd) => readlink(`${folder}/${fd}`).catch(() => ''))
  return (await Promise.all(links)).includes(path)
}

describe('a named pipe', () => {
  test('is read as it is written, to the end of its last writer', async () => {
    const pipe = makePipe('rows.pipe')
    await db.query('create table piped (id int, note text)')
    const load = startLoad(db, [pipe, '--table', 'piped'])
    const writer = await open(pipe, 'w') // waits for the load
    await writer.write('id,note\n')
    await sleep(300)
    for (let id = 0; id < 10_000; id++) await writer.write(`${String(id)},row\n`)
    await writer.close()
    const run = await load.ended
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value('select count(*)::int from piped')).toBe(10_000)
  })

  test.each([
    ['that nobody writes to', 0],
    ['whose writer says no more', 1],
  ])('%s keeps nobody who asks the load to stop', async (_, writers) => {
    const pipe = makePipe(`silent${String(writers)}.pipe`)
    await db.query(`create table silent${String(writers)} (id int)`)
    const load = startLoad(db, [pipe, '--table', `silent${String(writers)}`, '--header'])
    const writer = writers === 0 ? null : await open(pipe, 'w')
    await writer?.write('id\n1\n')
    await until('the load has opened it', () => hasOpen(load.process.pid!, pipe))
    load.process.kill('SIGINT')
    const run = await Promise.race([load.ended, sleep(15_000, null)])
    if (run === null) load.process.kill('SIGKILL')
    await writer?.close()
    expect(run?.code, run?.stderr).toBe(130)
    expect(run?.report.status).toBe('interrupted')
    await noBackendLeft(db)
  })
})

describe('what is no file', () => {
  test.each([
    ['a directory', () => dir.path('.'), /is a directory, expected a file/],
    ['nothing', () => dir.path('nowhere.csv'), /there is no file/],
    ['a part of a file', () => dir.path('f/x.csv'), /there is no file/],
    ['bytes without an end', () => '/dev/zero', /the first record is longer than/],
    ['no bytes at all', () => '/dev/null', /is empty/],
  ])('is refused with what it is: %s', async (_, path, message) => {
    await dir.write('f', 'a\n1\n')
    const run = await runLoad(db, [path(), '--table', 'nothing'])
    expect(run.code, run.stderr).toBe(1)
    expect(run.report.error?.message).toMatch(message)
    expect(await db.value(`select to_regclass('nothing')`)).toBeNull()
  })

  test('is refused: a socket', async () => {
    const path = dir.path('socket.csv')
    const server = createServer().listen(path)
    await once(server, 'listening')
    const run = await runLoad(db, [path, '--table', 'nothing'])
    server.close()
    expect(run.report.error?.code).toBe('SOURCE_UNREADABLE')
  })
})

describe('the report', () => {
  async function loadWithReport(report: string, ...args: string[]) {
    const file = await dir.write('reported.csv', 'id\n1\n')
    return runLoad(db, [file, '--report', report, '--restart', ...args])
  }

  async function readReport(path: string): Promise<LoadReport> {
    return JSON.parse(await readFile(path, 'utf8')) as LoadReport
  }

  test('is its owner’s alone, replaces an earlier one, and leaves nothing beside it', async () => {
    await mkdir(dir.path('reports'))
    const report = dir.path('reports/load.json')
    for (const args of [[], ['--table', 'a.b.c']]) {
      const run = await loadWithReport(report, ...args)
      expect((await readReport(report)).status).toBe(run.report.status)
      expect((await stat(report)).mode & 0o777).toBe(0o600)
      await chmod(report, 0o666)
    }
    expect(await readdir(dir.path('reports'))).toEqual(['load.json'])
  })

  test('is not written through a link, nor to what is no file, and nothing is loaded then', async () => {
    const victim = await dir.write('victim', 'mine')
    await symlink(victim, dir.path('link.json'))
    await symlink(dir.path('not yet'), dir.path('dangling.json'))
    makePipe('report.pipe')
    await db.query('create table unreported (id int)')
    for (const name of ['link.json', 'dangling.json', 'report.pipe', '.', 'no/such/folder.json']) {
      const run = await loadWithReport(dir.path(name), '--table', 'unreported')
      expect([run.code, run.report.error?.code], name).toEqual([2, 'CONFIG_BAD_VALUE'])
      expect(run.report.error?.hint).toContain('--report')
    }
    expect(await readFile(victim, 'utf8')).toBe('mine')
    expect(await db.value('select count(*)::int from unreported')).toBe(0)
    await expect(stat(dir.path('not yet'))).rejects.toThrow('ENOENT')
  })
})

test('an input that is a link is followed, being named', async () => {
  await symlink(await dir.write('linked.csv', 'id\n1\n'), dir.path('alias.csv'))
  const run = await runCli(['inspect', dir.path('alias.csv'), '--json'])
  expect(run.code, run.stderr).toBe(0)
})
