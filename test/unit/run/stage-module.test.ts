import { mkdir } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { compileModule, runModule } from '../../../src/run/stages/stage-module.ts'
import { useTempDir } from '../../helpers/temp-dir.ts'

const dir = useTempDir()

describe('a stage module', () => {
  test('is compiled anew by each load of a process, as it is then', async () => {
    await dir.write('part.ts', 'export const part: number = 1\n')
    const path = await dir.write('whole.ts', "import { part } from './part'\nexport default part\n")
    const first = await compileModule(path)
    const again = await compileModule(path)
    expect(again.source).toBe(first.source)
    expect(again.module).toEqual(first.module)
    expect(first.module.code).toHaveProperty('size', 2)
    expect([first.exported, again.exported, await runModule(again.module)]).toEqual([1, 1, 1])
    await dir.write('part.ts', 'export const part: number = 2\n')
    const edited = await compileModule(path)
    expect(edited.exported).toBe(2)
    expect(edited.source).not.toBe(first.source)
    // A lane runs what the run has compiled, whatever has become of the file.
    expect(await runModule(first.module)).toBe(1)
  })

  test.each([
    ["import { filter } from 'millrace'\nexport default typeof filter", 'function'],
    ["import * as millrace from 'millrace'\nexport default typeof millrace.map", 'function'],
    [
      "import { sep } from 'node:path'\nimport fs from 'fs'\nexport default [sep, typeof fs.open]",
      ['/', 'function'],
    ],
    ["import type { Row } from './rows'\nconst row: Row | null = null\nexport default row", null],
    ['enum Size { small, large }\nconst size = Size.large\nexport { size as default }', 1],
    ['export default Promise.resolve(5)', 5],
    ['export default async function later(): Promise<void> {}', expect.any(Function)],
    ['\uFEFFexport default 6', 6],
  ])('that imports nothing of its own needs nothing around it: %j', async (text, expected) => {
    const { exported, source, module } = await compileModule(await dir.write('lone.ts', text))
    expect(module.code).toBeTypeOf('string')
    expect(source).toBe(text)
    expect(exported).toEqual(expected)
    expect(await runModule(module)).toEqual(expected)
  })

  test.each([
    ['part.ts', "import { two } from './two'\nexport default two", 2],
    ['package.ts', "import { three } from 'counted'\nexport default three", 3],
    ['meta.ts', 'export default import.meta.url.slice(-7)', 'meta.ts'],
    ['dynamic.ts', "const { two } = await import('./two.ts')\nexport default two", 2],
    ['computed.ts', "const name = './two'\nexport default require(name).two", 2],
    ['script.ts', '#!/usr/bin/env node\nexport default 7', 7],
    ['common.cjs', 'module.exports = 8', 8],
    ['common.js', 'module.exports = 9', 9],
    ['assigned.ts', 'export = 10', 10],
    ['folder.ts', 'export default __dirname.length > 0', true],
  ])('of any other kind has what it expects: %s', async (name, text, expected) => {
    await dir.write('two.ts', 'export const two: number = 2\n')
    await mkdir(dir.path('node_modules/counted'), { recursive: true })
    await dir.write('node_modules/counted/index.js', 'exports.three = 3\n')
    const { exported, module } = await compileModule(await dir.write(name, text))
    expect(module.code).not.toBeTypeOf('string')
    expect(exported).toEqual(expected)
    expect(await runModule(module)).toEqual(expected)
  })

  test.each([
    ['export default 1 +', /^the stage module .*bad\.ts cannot be loaded: .*\(1:\d+\)/],
    ["throw new Error('not today')\nexport default 1", /cannot be loaded: not today$/],
  ])('that fails says what is wrong: %j', async (text, message) => {
    const path = await dir.write('bad.ts', text)
    await expect(compileModule(path)).rejects.toMatchObject({
      code: 'CONFIG_BAD_STAGE',
      message: expect.stringMatching(message) as string,
    })
  })

  test('throws from the line of its source', async () => {
    const text =
      'interface Row {\n  a: number\n}\n\nexport default (row: Row) => {\n  throw new Error(String(row))\n}\n'
    const path = await dir.write('throws.ts', text)
    const { exported } = await compileModule(path)
    const stack = (): unknown => (exported as (row: unknown) => unknown)({})
    expect(stack).toThrow(
      expect.objectContaining({ stack: expect.stringContaining(`${path}:6:9`) as string }),
    )
  })
})
