// @ts-check
import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem, type } from 'node:os'
import { rootFolder } from './millrace.mjs'

const shownSettings = [
  'shared_buffers',
  'max_wal_size',
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'wal_level',
]

/** The machine in a few words, fit for a file name. */
export function machineSlug() {
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  return `${model} ${cpus().length} cores`.toLowerCase().replace(/[^a-z0-9]+/g, '-')
}

/**
 * @param {import('./database.mjs').BenchDatabase} database
 * @param {string | undefined} psqlVersion
 * @returns {Promise<[what: string, value: string][]>}
 */
export async function describeMachine({ client }, psqlVersion) {
  const version = await client.query('show server_version')
  const settings = await client.query(
    'select name, current_setting(name) as value from pg_settings where name = any($1) order by 1',
    [shownSettings],
  )
  return [
    ['CPU', `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cpus().length} cores`],
    ['Memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['System', `${type()} ${release()}`],
    ['Node', process.version],
    ['PostgreSQL', version.rows[0].server_version],
    ['psql', psqlVersion ?? 'none'],
    ['Server settings', settings.rows.map((row) => `${row.name} ${row.value}`).join(', ')],
    ['Millrace', commit()],
  ]
}

function commit() {
  try {
    /** @param {string[]} args */
    const git = (...args) =>
      execFileSync('git', args, { cwd: rootFolder, encoding: 'utf8', stdio: 'pipe' }).trim()
    const changed = git('status', '--porcelain', '--', 'src', 'package.json')
    return git('rev-parse', '--short', 'HEAD') + (changed ? ' with uncommitted changes' : '')
  } catch {
    return 'unknown commit'
  }
}
