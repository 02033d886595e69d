import { open, readFile, truncate, utimes, writeFile } from 'node:fs/promises'
import { beforeAll, expect } from 'vitest'
import type { TestDatabase } from './database.ts'
import { claimedRows, type EndedLoad, runLoad } from './loads.ts'
import type { useTempDir } from './temp-dir.ts'

export const ROWS = 12_000
export const HEADER = 'id,name,price,note\n'
const ROW_BYTES = 30
/** The row that stops a load: three quarters of the file are loaded before it. */
const STOPPER = 9000
/** A whole second, which survives being read and set again. */
const WRITTEN = new Date('2024-05-06T07:08:09Z')

/** The bytes of rows `from` to `to`, 30 bytes each: more than the edges of the file that are always looked at. */
export function rowsText(from: number, to: number): string {
  return Array.from({ length: to - from + 1 }, (_, i) => {
    const id = String(100_000 + from + i)
    return `${id},name-${id},7.50,plain\n`
  }).join('')
}

/** Where a row starts in the file. */
export function byteOf(row: number): number {
  return HEADER.length + (row - 1) * ROW_BYTES
}

/** Places in the file by what is known of them once a job is interrupted. */
export const places = {
  /** Loaded, and not in the first or last 64 KiB. */
  loaded: byteOf(5000) + 10,
  /** Not loaded, and not in the last 64 KiB. */
  waiting: byteOf(9500) + 10,
  /** Not loaded, in the last 64 KiB. */
  tail: byteOf(11_000) + 10,
}

/** A file and the job that loads it into a table of the same name. */
export interface Job {
  readonly file: string
  readonly table: string
  /** Runs the job's command, with more options. */
  run(...more: string[]): Promise<EndedLoad>
  /** Writes other bytes over the file's, and sets its time: to what it was, or to now. */
  overwrite(byte: number, text: string, mtime: 'kept' | 'new'): Promise<void>
  append(text: string): Promise<void>
  truncate(bytes: number): Promise<void>
  touch(): Promise<void>
  read(): Promise<Buffer>
  /** Takes away what has stopped the load. */
  unblock(): Promise<void>
  /** Expects that exactly the rows of the file are in the table, each once, and known to the claims. */
  expectExact(rows?: number): Promise<void>
}

export interface Jobs {
  /** A job of a new file. Its table is Millrace's own making, or was there before. */
  make(name: string, table: 'own' | 'given', content?: string): Promise<Job>
  /** One that a row has stopped. */
  interrupt(name: string, table: 'own' | 'given', content?: string): Promise<Job>
}

/** Jobs that a CHECK constraint stops at row 9000: until `unblock` a table named `..._stops` refuses it. */
export function useJobs(db: TestDatabase, dir: ReturnType<typeof useTempDir>): Jobs {
  beforeAll(async () => {
    // Tables that Millrace creates get the constraint from an event trigger.
    await db.query(`
      create function stop_rows() returns event_trigger language plpgsql as $$
      declare made text;
      begin
        for made in select object_identity from pg_event_trigger_ddl_commands()
                     where command_tag = 'CREATE TABLE' and object_identity like '%\\_stops' loop
          execute format('alter table %s add constraint stopper check (id::text <> ''${String(100_000 + STOPPER)}'')', made);
        end loop;
      end $$;
      create event trigger stop_rows on ddl_command_end execute function stop_rows()`)
  })

  const jobs: Jobs = {
    async make(table, kind, content = HEADER + rowsText(1, ROWS)) {
      const file = await dir.write(`${table}.csv`, content)
      await utimes(file, WRITTEN, WRITTEN)
      if (kind === 'given') {
        await db.query(`create table ${table} (id int, name text, price numeric(6,2), note text)`)
      }
      return jobOf(db, file, table)
    },
    async interrupt(name, kind, content) {
      const job = await jobs.make(`${name}_stops`, kind, content)
      const run = await job.run()
      expect(run.report.error?.code, run.stderr).toBe('TARGET_ROW_REFUSED')
      const loaded = await claimedRows(db, job.table)
      expect(loaded).toBeGreaterThan(STOPPER - 1000)
      expect(loaded).toBeLessThan(STOPPER)
      return job
    },
  }
  return jobs
}

function jobOf(db: TestDatabase, file: string, table: string): Job {
  const args = [file, '--table', table, '--job', table, '--chunk-size', '16KiB', '--lanes', '1']
  return {
    file,
    table,
    run: (...more) => runLoad(db, [...args, ...more]),
    async overwrite(byte, text, mtime) {
      const handle = await open(file, 'r+')
      await handle.write(text, byte)
      await handle.close()
      if (mtime === 'kept') await utimes(file, WRITTEN, WRITTEN)
    },
    append: (text) => writeFile(file, text, { flag: 'a' }),
    truncate: (bytes) => truncate(file, bytes),
    touch: () => utimes(file, new Date(), new Date()),
    read: () => readFile(file),
    async unblock() {
      await db.query(`alter table ${table} drop constraint stopper`)
    },
    async expectExact(rows = ROWS) {
      expect(
        await db.query(
          `select count(*)::int as rows, count(distinct id)::int as ids, min(id::text) as first, max(id::text) as last
             from ${table}`,
        ),
      ).toEqual([{ rows, ids: rows, first: '100001', last: String(100_000 + rows) }])
      expect(await claimedRows(db, table)).toBe(rows)
    },
  }
}

/** Expects that a run was refused by the checkpoint and has loaded nothing; returns what it said. */
export async function expectRefused(
  db: TestDatabase,
  job: Job,
  code: string,
  ...more: string[]
): Promise<string> {
  const before = await claimedRows(db, job.table)
  const run = await job.run(...more)
  expect(run.report.error?.code, run.stderr).toBe(code)
  expect(run.code).toBe(4)
  expect(await claimedRows(db, job.table)).toBe(before)
  return `${run.report.error?.message ?? ''}; ${run.report.error?.hint ?? ''}`
}
