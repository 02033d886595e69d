import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const bin = fileURLToPath(new URL('../../src/cli/bin.mjs', import.meta.url))
/** A file for which there is never room. */
const FULL = '/dev/full'

const db = useDatabase()
const dir = useTempDir()

/** Loads three rows, with one of its outputs on a full disk; gives its exit code and the other one. */
async function load(full: 'stdout' | 'stderr', table: string): Promise<[number, string]> {
  const file = await dir.write('rows.csv', 'id\n1\n2\n3\n')
  const disk = await open(FULL, 'w')
  try {
    const child = spawn(
      process.execPath,
      [bin, 'load', file, '--to', db.url, '--table', table, '--log-level', 'debug'],
      {
        stdio: ['ignore', ...(full === 'stdout' ? [disk.fd, 'pipe'] : ['pipe', disk.fd])] as never,
      },
    )
    let other = ''
    const output = full === 'stdout' ? child.stderr : child.stdout
    output.on('data', (data: Buffer) => (other += data.toString()))
    const [code] = (await once(child, 'close')) as [number]
    return [code, other]
  } finally {
    await disk.close()
  }
}

describe.runIf(existsSync(FULL))('a load without room for what it prints', () => {
  test('fails, and says so, where that is the result', async () => {
    const [code, stderr] = await load('stdout', 'no_result')
    expect(code).toBe(1)
    expect(stderr).toContain('error: the result cannot be written to standard output: ENOSPC')
    expect(stderr).not.toContain('    at ')
    expect(await db.value('select count(*)::int from no_result')).toBe(3)
  })

  test('loads where that is the log', async () => {
    const [code, stdout] = await load('stderr', 'no_log')
    expect([code, stdout]).toEqual([0, expect.stringContaining('loaded 3 rows')])
  })
})
