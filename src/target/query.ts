import type { Client } from 'pg'
import { connect, disconnect } from './connect.ts'
import { wrapServerError } from './server-error.ts'

/** What a statement gave, every value as PostgreSQL's text. */
export interface QueryResult {
  readonly command: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly rowCount: number | null
}

const asText = { getTypeParser: () => (value: string) => value }

/**
 * Runs SQL, one statement or several, over a connection of its own.
 *
 * Errors: TARGET_UNREACHABLE, TARGET_REFUSED with the server's message.
 */
export async function query(url: string, sql: string): Promise<QueryResult[]> {
  const connection = { server: url, applicationName: 'millrace sql' }
  const client = await connect(connection)
  try {
    // Several statements give several results; the types of pg know only one.
    const found: unknown = await client.query({ text: sql, rowMode: 'array', types: asText })
    const results = (Array.isArray(found) ? found : [found]) as RawResult[]
    return results.map(({ command, fields, rows, rowCount }) => ({
      command,
      columns: fields.map((field) => field.name),
      rows,
      rowCount,
    }))
  } catch (error) {
    throw wrapServerError(error)
  } finally {
    await disconnect(connection, client)
  }
}

/**
 * Runs one statement with parameters; the rows it gives, every value as PostgreSQL's text.
 *
 * Errors: TARGET_CONNECTION_LOST, TARGET_REFUSED with the server's message.
 */
export async function queryText(
  client: Client,
  text: string,
  values: readonly unknown[],
): Promise<readonly (readonly (string | null)[])[]> {
  const statement = { text, values: [...values], rowMode: 'array' as const, types: asText }
  try {
    return (await client.query<(string | null)[]>(statement)).rows
  } catch (error) {
    throw wrapServerError(error)
  }
}

interface RawResult {
  readonly command: string
  readonly fields: readonly { readonly name: string }[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly rowCount: number | null
}
