import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { exitCodeOf } from '../../src/cli/exit-codes.ts'
import * as errors from '../../src/core/errors.ts'

const root = new URL('../../', import.meta.url)

/** All codes, as they are written in the source. */
async function codes(): Promise<string[]> {
  const source = await readFile(new URL('src/core/errors.ts', root), 'utf8')
  const found = [...source.matchAll(/'([A-Z]+_[A-Z_]+)'/g)].map(([, code]) => code!)
  return [...new Set(found)]
}

/** The rows of the README's table of errors: code and exit code. */
async function rows(): Promise<Map<string, string>> {
  const text = await readFile(new URL('README.md', root), 'utf8')
  const found = text.matchAll(/^\| `([A-Z]+_[A-Z_]+)`\s*\| (\S[^|]*?)\s*\|/gm)
  return new Map([...found].map(([, code, exit]) => [code!, exit!]))
}

test('every error code has its row in the README, and the README no other', async () => {
  expect([...(await rows()).keys()].sort()).toEqual((await codes()).sort())
})

test('every error code is met by a test', async () => {
  const folder = fileURLToPath(new URL('test/', root))
  const files = (await readdir(folder, { recursive: true })).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('error-codes.test.ts'),
  )
  const texts = await Promise.all(files.map((name) => readFile(`${folder}/${name}`, 'utf8')))
  const all = texts.join('\n')
  expect((await codes()).filter((code) => !all.includes(code))).toEqual([])
})

test('the README says the exit codes that there are', async () => {
  const table = await rows()
  const { CheckpointError, ConfigError, QualityError, RejectError, SourceError, TargetError } =
    errors
  const samples = [
    new ConfigError('CONFIG_USAGE', ''),
    new SourceError('SOURCE_NOT_FOUND', ''),
    new TargetError('TARGET_REFUSED', ''),
    new TargetError('TARGET_NO_TABLE', ''),
    new TargetError('TARGET_TEMPORARY', '', { retryable: true }),
    new TargetError('TARGET_CONNECTION_LOST', '', { retryable: true }),
    new CheckpointError('CHECKPOINT_HELD', ''),
    new QualityError('', []),
    new RejectError('', []),
  ]
  for (const error of samples) expect(table.get(error.code)).toBe(String(exitCodeOf(error)))
})
