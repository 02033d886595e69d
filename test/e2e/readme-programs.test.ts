import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { beforeAll, describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = await readFile(`${root}README.md`, 'utf8')
const db = useDatabase()
const dir = useTempDir()

/** The programs of the README, by the name in their first line. */
const programs = [...readme.matchAll(/```ts\n\/\/ (\S+)\.ts\n([\s\S]*?)```/g)].map((found) => ({
  name: found[1]!,
  text: found[2]!,
}))

const options: ts.CompilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
}

/** Compiles all programs as a user would who has installed the package; returns what is wrong with them. */
function compile(): string[] {
  const files = programs.map(({ name }) => dir.path(`${name}.ts`))
  const program = ts.createProgram(files, { ...options, typeRoots: [`${root}node_modules/@types`] })
  const { diagnostics } = program.emit()
  const found = [...ts.getPreEmitDiagnostics(program), ...diagnostics].map((one) => {
    const text = ts.flattenDiagnosticMessageText(one.messageText, '\n')
    return `${one.file?.fileName ?? ''}: ${text}`
  })
  // Its types are those of a newer Node.
  return found.filter((one) => !one.includes('node_modules/stream-chain/'))
}

interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<{ code: number | null; output: string }>
}

function start(name: string, env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [dir.path(`${name}.js`)], {
    cwd: dir.path(''),
    env: { PATH: process.env['PATH'], DATABASE_URL: db.url, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (data: Buffer) => (output += data.toString()))
  child.stderr.on('data', (data: Buffer) => (output += data.toString()))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }))
  return { process: child, ended }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

beforeAll(async () => {
  await cp(`${root}fixtures`, dir.path('fixtures'), { recursive: true, preserveTimestamps: true })
  await mkdir(dir.path('node_modules'))
  await symlink(root, dir.path('node_modules/millrace'))
  for (const name of ['pg', 'pino', 'stream-chain', '@types']) {
    await symlink(`${root}node_modules/${name}`, dir.path(`node_modules/${name}`))
  }
  await writeFile(dir.path('package.json'), '{ "type": "module" }')
  for (const { name, text } of programs) await dir.write(`${name}.ts`, text)
  expect(compile()).toEqual([])
})

describe('the programs of the README', () => {
  test('are these', () => {
    expect(programs.map(({ name }) => name).sort()).toEqual([
      'cancel',
      'objects',
      'progress',
      'source',
      'stages',
      'upload',
      'upper',
    ])
  })

  test('cancel: loads, and may be stopped', async () => {
    expect(await start('cancel').ended).toEqual({ code: 0, output: 'complete 5000\n' })
    expect(await start('cancel').ended).toEqual({ code: 0, output: 'already-complete 0\n' })
    await db.query('drop table trips')
    const gone = await start('cancel').ended
    expect(gone.output).toContain('CHECKPOINT_TARGET_CHANGED')
  })

  test('cancel: stops in the middle, and goes on', async () => {
    const many = Array.from({ length: 300_000 }, (_, i) => `${String(i)},x\n`).join('')
    await dir.write('many.csv', `id,note\n${many}`)
    const program = (await readFile(dir.path('cancel.js'), 'utf8'))
      .replace('fixtures/trips.csv', 'many.csv')
      .replace("table: 'trips'", "table: 'many', lanes: 1, chunkSize: 16_384")
    await dir.write('cancel-many.js', program)
    const run = start('cancel-many')
    await until('rows are there', async () => {
      const found = await db.value("select to_regclass('many') is not null")
      return found === true && Number(await db.value('select count(*) from many')) > 0
    })
    run.process.kill('SIGTERM')
    const { code, output } = await run.ended
    expect(code).toBe(0)
    expect(output).toMatch(/^RUN_ABORTED stopped as asked/)
    expect((await start('cancel-many').ended).output).toMatch(/^complete/)
    expect(await db.value('select count(distinct id) from many')).toBe('300000')
  })

  test('objects', async () => {
    expect(await start('objects').ended).toEqual({ code: 0, output: '2\n' })
    expect(await db.query('select id, tags, at from event order by id')).toMatchObject([
      { id: '1', tags: ['new', 'web'] },
      { id: '2', tags: null, at: new Date('2026-11-21T12:00:00.123Z') },
    ])
  })

  test('source: loads, and finds nothing more to do', async () => {
    expect(await start('source').ended).toEqual({ code: 0, output: '9000\n' })
    expect(await start('source').ended).toEqual({ code: 0, output: '0\n' })
    expect(await db.query('select count(*)::int, sum(fahrenheit)::int from reading')).toEqual([
      { count: 9_000, sum: Math.round((24 - 0) * 9_000 * 1.8 + 32 * 9_000) },
    ])
  })

  test('progress: is a log of JSON lines', async () => {
    const { code, output } = await start('progress').ended
    expect(code).toBe(0)
    const log = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; rows?: number })
    expect(log.at(-1)).toMatchObject({ msg: 'progress', phase: 'loading', rows: 5_000 })
    expect(await db.value('select count(*) from logged_trips')).toBe('5000')
  })

  test('upload: takes bodies of requests, and says what is wrong with one', async () => {
    await db.query('create table orders (id int8 primary key, total numeric, note text)')
    const port = await freePort()
    const run = start('upload', { PORT: String(port) })
    const post = async (body: string | ReadableStream): Promise<[number, unknown]> => {
      const init = { method: 'POST', body, duplex: 'half' } as RequestInit
      const response = await fetch(`http://127.0.0.1:${String(port)}/`, init)
      return [response.status, await response.json()]
    }
    try {
      await until('it listens', () =>
        post('id,total,note\n1,2.50,x\n').then(
          () => true,
          () => false,
        ),
      )
      let sent = 1
      const endless = new ReadableStream({
        pull(controller) {
          const rows = Array.from({ length: 1_000 }, () => `${String(++sent)},1.00,\n`).join('')
          controller.enqueue(Buffer.from(sent === 1_001 ? `id,total,note\n${rows}` : rows))
          if (sent > 100_000) controller.close()
        },
      })
      expect(await post(endless)).toMatchObject([200, { loaded: 100_000, filtered: 0 }])
      expect(await post('id,total,note\n-1,2,\n-2,,\n')).toMatchObject([
        200,
        { loaded: 1, filtered: 1 },
      ])
      const [status, answer] = await post('id,total,note\n-3,2,\n-1,5,\n')
      expect(status).toBe(422)
      expect(answer).toMatchObject({ where: { line: 3 } })
      expect(await db.query('select count(*)::int, sum(total)::text from orders')).toEqual([
        { count: 100_002, sum: '100004.50' },
      ])
    } finally {
      run.process.kill()
      await run.ended
    }
  })
})
