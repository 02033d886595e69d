import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'

/** A database of a test file's own. */
export interface TestDatabase {
  readonly url: string
  /** Runs SQL, returns the rows. */
  query<Row extends object = Record<string, unknown>>(
    sql: string,
    values?: unknown[],
  ): Promise<Row[]>
  /** The single value of a query. */
  value(sql: string, values?: unknown[]): Promise<unknown>
}

/** Makes a database before the tests of a file, and drops it after them; fails if one of its connections is left. */
export function useDatabase(): TestDatabase {
  const name = `test_${randomBytes(6).toString('hex')}`
  let client: Client | null = null
  let url = ''

  async function onServer(sql: string): Promise<void> {
    const server = new Client({ connectionString: inject('serverUrl') })
    await server.connect()
    await server.query(sql).finally(() => server.end())
  }

  beforeAll(async () => {
    await onServer(`create database ${name}`)
    const address = new URL(inject('serverUrl'))
    address.pathname = `/${name}`
    url = address.href
    client = new Client({ connectionString: url })
    await client.connect()
  })

  afterAll(async () => {
    await client?.end()
    await onServer(`drop database ${name} with (force)`)
  })

  async function query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    if (client === null) throw new Error('the database is made in beforeAll')
    const result = await client.query<Row>(sql, values)
    return result.rows
  }

  return {
    get url() {
      return url
    },
    query,
    async value(sql, values) {
      const rows = await query(sql, values)
      return rows[0] === undefined ? undefined : Object.values(rows[0])[0]
    },
  }
}
