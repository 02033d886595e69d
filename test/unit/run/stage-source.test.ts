import { describe, expect, test } from 'vitest'
import { makeStages, StageSource } from '../../../src/run/stages/stage-source.ts'
import { enrich } from '../../../src/stage/enrich.ts'
import { where } from '../../../src/stage/where.ts'
import { useTempDir } from '../../helpers/temp-dir.ts'

const dir = useTempDir()

describe('the stages of a run', () => {
  test('have the content of files they read in their identity, and only theirs', async () => {
    const csv = await dir.write('a.csv', 'k,v\n1,a\n')
    const stages = [where('id > 1'), enrich('id', { csv, key: 'k', columns: ['v'] })]
    const before = (await new StageSource(stages).find()).identity
    expect((await new StageSource(stages).find()).identity).toEqual(before)
    await dir.write('a.csv', 'k,v\n1,b\n')
    const after = (await new StageSource(stages).find()).identity
    expect(after[0]).toBe(before[0])
    expect(after[1]).not.toBe(before[1])
    expect(before.map((one) => one.split(' ').length)).toEqual([2, 3])
  })

  test('are not made by a thread that would find another file', async () => {
    const csv = await dir.write('b.csv', 'k,v\n1,a\n')
    const { specs } = await new StageSource([enrich('id', { csv, key: 'k', columns: [] })]).find()
    expect(await makeStages(specs)).toMatchObject([{ name: 'enrich' }])
    await dir.write('b.csv', 'k,v\n1,b\n')
    await expect(makeStages(specs)).rejects.toMatchObject({
      code: 'SOURCE_CHANGED_WHILE_READING',
      message: 'a file that stage enrich reads was changed while the run began',
    })
  })
})
