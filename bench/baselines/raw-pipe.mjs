// @ts-check
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { isMain, nodeCommand, threeArguments } from '../harness/stand-alone.mjs'

/**
 * The floor of Node: the file's bytes straight into `COPY ... (FORMAT csv)`, nobody looks at a row.
 * @type {import('../harness/contest.mjs').Contender}
 */
export const rawPipe = {
  name: 'raw pipe, pg-copy-streams',
  commands: (load) => [nodeCommand(import.meta.url, load)],
}

if (isMain(import.meta.url)) {
  const [file, url, table] = threeArguments()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const copy = client.query(copyFrom(`copy ${table} from stdin with (format csv, header)`))
  await pipeline(createReadStream(file), copy)
  await client.end()
}
