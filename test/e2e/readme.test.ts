import { execSync } from 'node:child_process'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stopEmbeddedServer } from '../../src/run/embedded-server.ts'
import { runCli } from '../helpers/cli.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const root = new URL('../../', import.meta.url)
const readme = await readFile(new URL('README.md', root), 'utf8')
const dir = useTempDir()

const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap((block) => block[1]!.trim().split('\n'))
  .filter((line) => /^(npx millrace|sed) /.test(line))

/** The programs of the README, by the name in their first line. */
const programs = new Map(
  [...readme.matchAll(/```ts\n\/\/ (\S+\.ts)\n([\s\S]*?)```/g)].map((found) => [
    found[1]!,
    found[2]!,
  ]),
)

function words(command: string): string[] {
  const parts = command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)
  return [...parts].map((word) => word[1] ?? word[2] ?? word[3]!)
}

async function codesIn(file: string): Promise<string[]> {
  const text = await readFile(new URL(file, root), 'utf8')
  const codes =
    /'((?:CONFIG|SOURCE|STAGE|TARGET|CHECKPOINT|QUALITY|REJECTED|REJECTS|RUN)_[A-Z_]+)'/g
  return [...new Set([...text.matchAll(codes)].map((code) => code[1]!))].sort()
}

describe('the README', () => {
  const stateDir = (): string => dir.path('.millrace')
  const env = (): Record<string, string> => ({ MILLRACE_STATE_DIR: stateDir() })

  beforeAll(async () => {
    await mkdir(dir.path('fixtures'))
    for (const name of ['trips.csv', 'trips-with-errors.csv']) {
      const file = fileURLToPath(new URL(`fixtures/${name}`, root))
      await cp(file, dir.path(`fixtures/${name}`), { preserveTimestamps: true })
    }
    for (const [name, text] of programs) await dir.write(name, text)
  })

  afterAll(() => stopEmbeddedServer({ stateDir: stateDir() }))

  test('gives commands that work, one after the other, in an empty directory', async () => {
    expect(commands.length).toBeGreaterThanOrEqual(4)
    for (const command of commands) {
      if (command.startsWith('sed ')) {
        execSync(command, { cwd: dir.path('') })
        continue
      }
      const run = await runCli(words(command).slice(2), { cwd: dir.path(''), env: env() })
      expect(run.code, `${command}\n${run.stderr}`).toBe(0)
      expect(run.stdout, command).not.toBe('')
    }
    const mended = [
      'db',
      'sql',
      'select minutes from trips_with_errors where trip_id = 2',
      '--json',
    ]
    const trip = await runCli(mended, { cwd: dir.path(''), env: env() })
    expect(JSON.parse(trip.stdout)).toEqual({ minutes: '59' })
    const count = ['db', 'sql', 'select count(*) from trips', '--json']
    const rows = await runCli(count, { cwd: dir.path(''), env: env() })
    expect(JSON.parse(rows.stdout)).toEqual({ count: '5000' })
  })

  test('has a row for each error code, and none for others', async () => {
    const rows = [
      ...readme.matchAll(
        /^\| `((?:CONFIG|SOURCE|STAGE|TARGET|CHECKPOINT|QUALITY|REJECTED|REJECTS|RUN)_[A-Z_]+)` +\|/gm,
      ),
    ]
    expect(rows.map((row) => row[1]).sort()).toEqual(await codesIn('src/core/errors.ts'))
  })

  test('has a row for each option of load, and none for others', async () => {
    const help = await runCli(['load', '--help'])
    const options = [...help.stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map((option) => option[1])
    const section = /## Options of load([\s\S]*?)\n## /.exec(readme)![1]!
    const rows = [...section.matchAll(/^\| `(--[a-z-]+)` +\|/gm)].map((row) => row[1])
    expect(rows.sort()).toEqual(options.sort())
  })
})
