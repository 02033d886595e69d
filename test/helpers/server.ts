import { mkdtemp, rm } from 'node:fs/promises'
import { realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { openEmbeddedServer, stopEmbeddedServer } from '../../src/run/embedded-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the server that the tests share; each file makes a database of its own on it. */
    serverUrl: string
  }
}

/** Starts one embedded PostgreSQL for all files that need a server, or takes the one named in MILLRACE_TEST_URL. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env['MILLRACE_TEST_URL']
  if (given !== undefined) {
    project.provide('serverUrl', given)
    return () => Promise.resolve()
  }
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  const server = await openEmbeddedServer({ stateDir })
  const dataDir = await realpath(server.dataDir)
  await runFast(server.url)
  project.provide('serverUrl', server.url)
  return async () => {
    await server.release()
    await stopEmbeddedServer({ stateDir })
    // Root's servers live outside of the state directory.
    if (!dataDir.startsWith(await realpath(stateDir))) {
      await rm(dirname(dataDir), { recursive: true, force: true })
    }
    await rm(stateDir, { recursive: true, force: true })
  }
}

/** What is written need not outlive this machine: only processes are killed in the tests. */
async function runFast(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('alter system set fsync = off')
  await client.query('select pg_reload_conf()')
  await client.end()
}
