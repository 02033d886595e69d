import { rename, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import {
  byteOf,
  expectRefused,
  HEADER,
  places,
  ROWS,
  rowsText,
  useJobs,
} from '../helpers/interrupted-jobs.ts'
import { claimedRows, runLoad } from '../helpers/loads.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const jobs = useJobs(db, dir)

describe('one byte that is changed in the file of an interrupted job', () => {
  test.each([
    ['own', 'loaded', 'new', /are loaded, and are others now/],
    ['own', 'loaded', 'kept', /are loaded, and are others now/],
    ['own', 'waiting', 'new', /not loaded yet/],
    ['own', 'waiting', 'kept', /not loaded yet/],
    ['own', 'tail', 'kept', /last bytes/],
    ['given', 'loaded', 'new', /are loaded, and are others now/],
    ['given', 'loaded', 'kept', /are loaded, and are others now/],
    ['given', 'waiting', 'new', /written to/],
    ['given', 'waiting', 'kept', /./],
    ['given', 'tail', 'kept', /last bytes/],
  ] as const)('is noticed: table %s, place %s, time %s', async (table, place, mtime, reason) => {
    const job = await jobs.interrupt(`changed_${table}_${place}_${mtime}`, table)
    await job.unblock()
    await job.overwrite(places[place], '2', mtime)
    const said = await expectRefused(db, job, 'CHECKPOINT_INPUT_CHANGED')
    expect(said).toMatch(reason)
    expect(said).toContain('--restart')
  })

  test('is no longer refused once it is changed back', async () => {
    const job = await jobs.interrupt('changed_back', 'own')
    await job.unblock()
    await job.overwrite(places.loaded, '2', 'new')
    await expectRefused(db, job, 'CHECKPOINT_INPUT_CHANGED')
    await job.overwrite(places.loaded, rowsText(5000, 5000).slice(10, 11), 'new')
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact()
  })
})

describe('the file of a completed job', () => {
  test('that was changed is refused, not taken for loaded', async () => {
    const job = await jobs.make('complete_changed', 'given')
    expect((await job.run()).code).toBe(0)
    await job.overwrite(places.loaded, '2', 'kept')
    expect(await expectRefused(db, job, 'CHECKPOINT_INPUT_CHANGED')).toContain('loaded')
  })

  test('that was only touched is still loaded', async () => {
    const job = await jobs.make('complete_touched', 'given')
    expect((await job.run()).code).toBe(0)
    await job.touch()
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.status).toBe('already-complete')
    await job.expectExact()
  })

  test('that was replaced by a copy of itself is still loaded', async () => {
    const job = await jobs.make('complete_copied', 'own')
    expect((await job.run()).code).toBe(0)
    await writeFile(`${job.file}.copy`, await job.read())
    await rename(`${job.file}.copy`, job.file)
    const run = await job.run()
    expect(run.report.status, run.stderr).toBe('already-complete')
    await job.expectExact()
  })
})

describe('a file that was only touched while its job was interrupted', () => {
  test('is gone on with', async () => {
    const job = await jobs.interrupt('touched', 'own')
    await job.unblock()
    await job.touch()
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact()
  })

  test('is gone on with each time, however often it was touched', async () => {
    const job = await jobs.interrupt('touched_twice', 'own')
    await job.touch()
    expect((await job.run()).report.error?.code).toBe('TARGET_ROW_REFUSED')
    await job.touch()
    await job.unblock()
    const run = await job.run()
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact()
  })
})

describe('a file that has become shorter', () => {
  test.each([
    ['within what is loaded', places.loaded],
    ['behind what is loaded', places.waiting],
    ['by its last byte', byteOf(ROWS + 1) - 1],
  ])('is refused: %s', async (place, bytes) => {
    const job = await jobs.interrupt(`shorter_${place.replaceAll(' ', '_')}`, 'own')
    await job.unblock()
    await job.truncate(bytes)
    const said = await expectRefused(db, job, 'CHECKPOINT_INPUT_CHANGED')
    expect(said).toContain(`it had ${String(byteOf(ROWS + 1))} bytes and has ${String(bytes)}`)
  })

  test('is refused when its job was complete', async () => {
    const job = await jobs.make('shorter_complete', 'given')
    expect((await job.run()).code).toBe(0)
    await job.truncate(byteOf(ROWS))
    await expectRefused(db, job, 'CHECKPOINT_INPUT_CHANGED')
  })
})

describe('a file that has grown', () => {
  test('is refused with a hint, and --appended loads just what was added', async () => {
    const job = await jobs.make('grown', 'given')
    expect((await job.run()).code).toBe(0)
    await job.append(rowsText(ROWS + 1, ROWS + 500))
    const said = await expectRefused(db, job, 'CHECKPOINT_INPUT_GROWN')
    expect(said).toContain('--appended')
    const run = await job.run('--appended')
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.rows.loaded).toBe(500)
    expect(run.report.resumed.rows).toBe(ROWS)
    await job.expectExact(ROWS + 500)

    const again = await job.run()
    expect(again.report.status, again.stderr).toBe('already-complete')
  })

  test('grows again, and --appended loads that too', async () => {
    const job = await jobs.make('grown_twice', 'own')
    expect((await job.run()).code).toBe(0)
    for (const more of [1, 2]) {
      await job.append(rowsText(ROWS + more, ROWS + more))
      const run = await job.run('--appended')
      expect(run.code, run.stderr).toBe(0)
      expect(run.report.rows.loaded).toBe(1)
    }
    await job.expectExact(ROWS + 2)
  })

  test('while its job was interrupted is refused, and --appended loads all that remains', async () => {
    const job = await jobs.interrupt('grown_midway', 'own')
    await job.unblock()
    await job.append(rowsText(ROWS + 1, ROWS + 500))
    await expectRefused(db, job, 'CHECKPOINT_INPUT_GROWN')
    const run = await job.run('--appended')
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact(ROWS + 500)
  })

  test.each(['loaded', 'waiting', 'tail'] as const)(
    'is refused even with --appended when a byte of its old part was changed: %s',
    async (place) => {
      const job = await jobs.interrupt(`grown_changed_${place}`, 'own')
      await job.unblock()
      await job.append(rowsText(ROWS + 1, ROWS + 500))
      await job.overwrite(places[place], '2', 'new')
      await expectRefused(db, job, 'CHECKPOINT_INPUT_CHANGED', '--appended')
    },
  )

  test('behind a last record without a line end is refused: the record may have grown', async () => {
    const job = await jobs.make('grown_unended', 'given', HEADER + rowsText(1, ROWS).trimEnd())
    expect((await job.run()).code).toBe(0)
    await job.append(`er\n${rowsText(ROWS + 1, ROWS + 1)}`)
    const said = await expectRefused(db, job, 'CHECKPOINT_INPUT_CHANGED', '--appended')
    expect(said).toContain('line end')
  })

  test('behind a last record without a line end goes on when that record is not loaded', async () => {
    const text = HEADER + rowsText(1, ROWS).trimEnd()
    const job = await jobs.interrupt('grown_unended_midway', 'given', text)
    await job.unblock()
    await job.append(`\n${rowsText(ROWS + 1, ROWS + 1)}`)
    const run = await job.run('--appended')
    expect(run.code, run.stderr).toBe(0)
    await job.expectExact(ROWS + 1)
  })

  test('not at all has nothing to load, with --appended too', async () => {
    const job = await jobs.make('not_grown', 'given')
    expect((await job.run()).code).toBe(0)
    const run = await job.run('--appended')
    expect(run.report.status, run.stderr).toBe('already-complete')
    await job.expectExact()
  })
})

describe('standard input', () => {
  const all = HEADER + rowsText(1, ROWS)

  /** A given table that stops the load at a row, and the arguments of its job. */
  async function interruptedStream(name: string): Promise<{ table: string; args: string[] }> {
    const table = `${name}_stops`
    await db.query(`create table ${table} (id int, name text, price numeric, note text)`)
    const args = ['-', '--table', table, '--job', table, '--chunk-size', '16KiB', '--lanes', '1']
    const run = await runLoad(db, args, { input: all })
    expect(run.report.error?.code, run.stderr).toBe('TARGET_ROW_REFUSED')
    expect(await claimedRows(db, table)).toBeGreaterThan(8000)
    await db.query(`alter table ${table} drop constraint stopper`)
    return { table, args }
  }

  test('with --job is gone on with: what is loaded is read again, checked and skipped', async () => {
    const { table, args } = await interruptedStream('stream')
    const before = await claimedRows(db, table)
    const run = await runLoad(db, [...args, '--chunk-size', '10KiB', '--lanes', '2'], {
      input: all,
    })
    expect(run.code, run.stderr).toBe(0)
    expect(run.report.resumed.rows).toBe(before)
    expect(run.report.rows.loaded).toBe(ROWS - before)
    expect(await db.value(`select count(distinct id)::int from ${table}`)).toBe(ROWS)
    expect(await db.value(`select count(*)::int from ${table}`)).toBe(ROWS)

    const again = await runLoad(db, args, { input: all })
    expect(again.report.status, again.stderr).toBe('already-complete')
    expect(again.report.rows.loaded).toBe(0)
    expect(await db.value(`select count(*)::int from ${table}`)).toBe(ROWS)
  })

  test('with --job is refused when what is loaded has other bytes now', async () => {
    const { table, args } = await interruptedStream('stream_changed')
    const before = await claimedRows(db, table)
    const input = Buffer.from(all)
    input[places.loaded] = 0x32
    const run = await runLoad(db, args, { input })
    expect(run.report.error?.code, run.stderr).toBe('CHECKPOINT_INPUT_CHANGED')
    expect(run.code).toBe(4)
    expect(await claimedRows(db, table)).toBe(before)
  })

  test('with --job is refused when it ends before what is loaded does', async () => {
    const { table, args } = await interruptedStream('stream_short')
    const before = await claimedRows(db, table)
    const run = await runLoad(db, args, { input: all.slice(0, places.loaded) })
    expect(run.report.error?.code, run.stderr).toBe('CHECKPOINT_INPUT_CHANGED')
    expect(run.code).toBe(4)
    expect(await claimedRows(db, table)).toBe(before)
  })

  test('without --job is loaded each time', async () => {
    await db.query('create table stream_nameless (id int, name text, price numeric, note text)')
    for (const rows of [50, 100]) {
      const run = await runLoad(db, ['-', '--table', 'stream_nameless'], {
        input: HEADER + rowsText(1, 50),
      })
      expect(run.code, run.stderr).toBe(0)
      expect(run.report.rows.loaded).toBe(50)
      expect(await db.value('select count(*)::int from stream_nameless')).toBe(rows)
    }
  })
})
