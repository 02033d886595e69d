import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { expectRefused, HEADER, type Job, ROWS, useJobs } from '../helpers/interrupted-jobs.ts'
import { claimedRows } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const jobs = useJobs(db, dir)

describe('--restart', () => {
  test('makes a table of the job anew, and loads all rows into it', async () => {
    const job = await jobs.make('restart_own', 'own')
    expect((await job.run()).code).toBe(0)
    await job.overwrite(HEADER.length + 7, 'NAME', 'new')
    const run = await job.run('--restart')
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.created).toMatch(/^create table/)
    expect(run.report.rows.loaded).toBe(ROWS)
    await job.expectExact()
    expect(await db.value(`select name from ${job.table} where id = 100001`)).toBe('NAME-100001')
  })

  test('of an interrupted job begins with the first row', async () => {
    const job = await jobs.interrupt('restart_midway', 'own')
    const again = await job.run('--restart')
    expect(again.report.error?.code, again.stderr).toBe('TARGET_ROW_REFUSED')
    await job.unblock()
    expect((await job.run()).code).toBe(0)
    await job.expectExact()
  })

  test('keeps what is in a table that was there before, and says so', async () => {
    const job = await jobs.interrupt('restart_given', 'given')
    const before = await claimedRows(db, job.table)
    await job.unblock()
    const run = await job.run('--restart')
    expect(run.code, run.stderr).toBe(0)
    expect(run.stderr).toContain('rows of the earlier run stay')
    expect(run.report.rows.loaded).toBe(ROWS)
    expect(await db.value(`select count(*)::int from ${job.table}`)).toBe(before + ROWS)
    expect(await claimedRows(db, job.table)).toBe(ROWS)
  })

  test('keeps a table of the job that has got other rows too', async () => {
    const job = await jobs.make('restart_shared', 'own')
    expect((await job.run()).code).toBe(0)
    await db.query(`insert into ${job.table} (id) values (1)`)
    const run = await job.run('--restart')
    expect(run.code, run.stderr).toBe(0)
    expect(await db.value(`select count(*)::int from ${job.table} where id = 1`)).toBe(1)
    expect(await db.value(`select count(*)::int from ${job.table}`)).toBe(2 * ROWS + 1)
  })

  test.each([
    ['dropped', 'drop table $t'],
    ['truncated', 'truncate $t'],
    ['widened', 'alter table $t add column more int'],
  ])('gets over a table that was %s', async (name, change) => {
    const job = await jobs.make(`restart_${name}`, 'own')
    expect((await job.run()).code).toBe(0)
    await db.query(change.replaceAll('$t', job.table))
    await expectRefused(db, job, 'CHECKPOINT_TARGET_CHANGED')
    const run = await job.run('--restart')
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact()
  })

  test('gets over other options', async () => {
    const job = await jobs.interrupt('restart_options', 'own')
    const options = ['--null', 'plain', '--restart']
    expect((await job.run(...options)).report.error?.code).toBe('TARGET_ROW_REFUSED')
    await job.unblock()
    expect((await job.run('--null', 'plain')).code).toBe(0)
    await job.expectExact()
    expect(await notes(job)).toEqual([null])
  })
})

async function notes(job: Job): Promise<unknown[]> {
  return (await db.query(`select distinct note from ${job.table}`)).map(({ note }) => note)
}
