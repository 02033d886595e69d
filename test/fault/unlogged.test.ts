import { expect, test } from 'vitest'
import { useCrashingServer } from '../helpers/faults/crashing-server.ts'
import { until } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const ROWS = 20_000

const { ask, load, crash } = useCrashingServer(useTempDir(), ROWS)

test('an unlogged table that a crash has emptied in the middle of its load is not taken for loaded', async () => {
  await ask(`
    create unlogged table midway (id int, note text);
    create trigger slow before insert on midway for each row execute function slowly()`)
  const running = load('midway')
  await until(
    'a part is loaded',
    async () => (await ask('select count(*) as n from midway').catch(() => 0)) > 0,
  )
  await ask('checkpoint') // the claims so far are on disk
  await crash()
  const run = await running.ended
  expect(run.code, run.stderr).toBe(4)
  expect(run.report.error?.code).toBe('CHECKPOINT_TARGET_CHANGED')
  expect(run.report.error?.message).toMatch(/unlogged, and was emptied by a crash/)

  // Not even with rows in it.
  await ask(`insert into midway values (-1, 'mine')`)
  const again = await load('midway').ended
  expect(again.report.error?.code, again.stderr).toBe('CHECKPOINT_TARGET_CHANGED')

  await ask('truncate midway')
  const anew = await load('midway', '--restart').ended
  expect(anew.code, anew.stderr).toBe(0)
  expect(await ask('select count(distinct id) as n from midway')).toBe(ROWS)
})

test('an unlogged table that a crash has emptied behind its load is not taken for loaded either', async () => {
  await ask('create unlogged table done (id int, note text)')
  expect((await load('done').ended).report.status).toBe('complete')
  expect((await load('done').ended).report.status).toBe('already-complete')
  await crash()
  await ask(`insert into done values (-1, 'mine')`)
  const again = await load('done').ended
  expect(again.code, again.stderr).toBe(4)
  expect(again.report.error?.code).toBe('CHECKPOINT_TARGET_CHANGED')
})

test('a table that was made unlogged between two runs is gone on with, until a crash', async () => {
  await ask('create table later (id int, note text)')
  expect((await load('later').ended).report.status).toBe('complete')
  await ask('alter table later set unlogged')
  expect((await load('later').ended).report.status).toBe('already-complete')
  await crash()
  const again = await load('later').ended
  expect(again.report.error?.code, again.stderr).toBe('CHECKPOINT_TARGET_CHANGED')
  await ask('alter table later set logged')
})
