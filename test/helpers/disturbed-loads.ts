import { afterAll, beforeAll, expect } from 'vitest'
import type { TestDatabase } from './database.ts'
import { backends, claimedRows, runLoad, until } from './loads.ts'
import { loadReference, problemsOfServer, problemsOfTable, type Reference } from './reference.ts'
import type { useTempDir } from './temp-dir.ts'

const ROWS = 20_000

/** Loads of one file of 20,000 rows that a test disturbs, each into a table of its own. */
export interface DisturbedLoads {
  readonly rows: number
  /** Path of the file. */
  readonly file: string
  /** A second connection, for locks. */
  readonly other: Reference['client']
  /** A table for the rows. The slow one takes 2 s for them, over one connection. */
  makeTable(table: string, pace: 'slow' | 'fast'): Promise<void>
  /** The arguments of a load whose job has the table's name. */
  argsOf(table: string, input?: string): string[]
  /** Waits until a load has committed something and is about to commit more. */
  inTheMiddle(table: string): Promise<void>
  /** How many lanes wait for a lock. */
  lockWaits(): Promise<number>
  /** What is wrong with a table and its claims. */
  problems(table: string): Promise<string[]>
  /** Every row once, claims that tile the file, nothing left on the server. */
  expectExact(table: string): Promise<void>
  /** Runs the command again and expects that it goes on to the end. */
  expectResumes(table: string): Promise<void>
}

/** Writes the file before the tests, and loads it once undisturbed. */
export function useDisturbedLoads(
  db: TestDatabase,
  dir: ReturnType<typeof useTempDir>,
): DisturbedLoads {
  let reference: Reference

  beforeAll(async () => {
    const file = dir.path('rows.csv')
    reference = await loadReference(db, file, ROWS, 1)
    await db.query(`
      create function slowly() returns trigger language plpgsql as $$
      begin
        if new.id % 500 = 0 then perform pg_sleep(0.05); end if;
        return new;
      end $$`)
  })

  afterAll(() => reference.client.end())

  const loads: DisturbedLoads = {
    rows: ROWS,
    get file() {
      return reference.file
    },
    get other() {
      return reference.client
    },
    async makeTable(table, pace) {
      await db.query(`create table ${table} (like reference)`)
      if (pace === 'fast') return
      await db.query(
        `create trigger slow before insert on ${table} for each row execute function slowly()`,
      )
    },
    argsOf(table, input = reference.file) {
      return [input, '--table', table, '--job', table, '--chunk-size', '32KiB', '--lanes', '3']
    },
    async inTheMiddle(table) {
      await until('a part of the rows is loaded', async () => (await claimedRows(db, table)) > 0)
      await until('a lane copies', async () =>
        (await backends(db)).some(
          ({ query, state }) => /\bcopy\b/.test(query) && state === 'active',
        ),
      )
    },
    async lockWaits() {
      const all = await backends(db)
      return all.filter(({ query, waits }) => /\bcopy\b/.test(query) && waits === 'Lock').length
    },
    problems: (table) => problemsOfTable(table, reference),
    async expectExact(table) {
      expect(await loads.problems(table)).toEqual([])
      expect(await problemsOfServer(reference.client)).toEqual([])
    },
    async expectResumes(table) {
      const before = await claimedRows(db, table)
      expect(await db.value(`select count(*)::int from ${table}`)).toBe(before)
      const run = await runLoad(db, loads.argsOf(table))
      expect(run.code, run.stderr).toBe(0)
      expect(run.report.resumed.rows).toBe(before)
      expect(run.report.rows.loaded).toBe(ROWS - before)
      await loads.expectExact(table)
    },
  }
  return loads
}
