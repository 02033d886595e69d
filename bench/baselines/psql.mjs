// @ts-check
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

const debianFolder = '/usr/lib/postgresql'

/**
 * The psql to compare with, and what it says of itself; undefined when there is none.
 * @type {{ program: string, version: string } | undefined}
 */
export const psql = candidates()
  .map((program) => ({ program, version: versionOf(program) }))
  .find(({ version }) => version !== '')

/**
 * Debian's psql on the PATH is a script that looks for the real one. Where that is known it is run directly, so
 * that the script is not counted against psql.
 */
function candidates() {
  return [...debianVersions().map((version) => `${debianFolder}/${version}/bin/psql`), 'psql']
}

function debianVersions() {
  try {
    return readdirSync(debianFolder).sort((a, b) => Number(b) - Number(a))
  } catch {
    return []
  }
}

/** @param {string} program */
function versionOf(program) {
  try {
    const said = execFileSync(program, ['--version'], { encoding: 'utf8', stdio: 'pipe' })
    return said.replace('psql (PostgreSQL) ', '').trim()
  } catch {
    return ''
  }
}

/**
 * One psql process that runs one `\copy`.
 * @param {import('../harness/contest.mjs').Load} load
 * @param {string} path
 * @param {string} format  what stands in the parentheses
 * @returns {import('../harness/child.mjs').Command}
 */
export function copyCommand({ url, table }, path, format) {
  const copy = `\\copy ${table} from '${path.replaceAll("'", "''")}' with (${format})`
  return {
    program: psql?.program ?? 'psql',
    args: [url, '--no-psqlrc', '--quiet', '-v', 'ON_ERROR_STOP=1', '-c', copy],
  }
}
