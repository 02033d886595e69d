import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** PgBouncer in transaction mode before a server, with fewer connections to it than loaders have. */
export interface Pooler {
  readonly url: string
  close(): Promise<void>
}

/** Why there can be none; null where there can. */
export function lacksPooler(): Promise<string | null> {
  return run('pgbouncer', ['--version']).then(
    () => null,
    () => 'there is no pgbouncer',
  )
}

export async function openPooler(server: string): Promise<Pooler> {
  const { hostname, port, username, password, pathname } = new URL(server)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-pooler-'))
  await chmod(folder, 0o755)
  const listen = await freePort()
  const database = `host=${hostname} port=${port} user=${username} password=${password}`
  const config = join(folder, 'pooler.ini')
  await writeFile(
    config,
    `[databases]
${pathname.slice(1)} = ${database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${String(listen)}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 100
ignore_startup_parameters = extra_float_digits
`,
  )
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const pooler = spawn('pgbouncer', [...user, config], { stdio: 'ignore' })
  await listening(listen, pooler)
  const url = new URL(server)
  url.host = `127.0.0.1:${String(listen)}`
  return {
    url: url.href,
    async close() {
      pooler.kill('SIGINT')
      if (pooler.exitCode === null) await once(pooler, 'exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function listening(port: number, pooler: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 100 && pooler.exitCode === null; tries++) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (isUp) return
    await sleep(50)
  }
  throw new Error('pgbouncer does not listen')
}
