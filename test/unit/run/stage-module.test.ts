import { describe, expect, test } from 'vitest'
import { compileModule, runModule } from '../../../src/run/stage-module.ts'
import { useTempDir } from '../../helpers/temp-dir.ts'

const dir = useTempDir()

describe('a stage module', () => {
  test('is compiled anew by each load of a process, as it is then', async () => {
    await dir.write('part.ts', 'export const part: number = 1\n')
    const path = await dir.write('whole.ts', "import { part } from './part'\nexport default part\n")
    const first = await compileModule(path)
    const again = await compileModule(path)
    expect(again.source).toBe(first.source)
    expect([...again.module.code.keys()]).toEqual([...first.module.code.keys()])
    expect(first.module.code.size).toBe(2)
    expect([first.exported, again.exported, await runModule(again.module)]).toEqual([1, 1, 1])
    await dir.write('part.ts', 'export const part: number = 2\n')
    const edited = await compileModule(path)
    expect(edited.exported).toBe(2)
    expect(edited.source).not.toBe(first.source)
    // A lane runs what the run has compiled, whatever has become of the file.
    expect(await runModule(first.module)).toBe(1)
  })
})
