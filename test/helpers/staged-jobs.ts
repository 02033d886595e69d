import { expect } from 'vitest'
import type { TestDatabase } from './database.ts'
import { claimedRows, type EndedLoad, runLoad } from './loads.ts'
import type { useTempDir } from './temp-dir.ts'

export const ROWS = 2000
/** Rows of each file that have a field too many. */
const BAD = 30

/** A file of 2,000 good rows, id and label, and the job that loads it all at once into a table of the same name. */
export interface StagedJob {
  readonly file: string
  readonly table: string
  /** Runs the job's command to its end; 5 % of the rows may be rejected. */
  run(...more: string[]): Promise<EndedLoad>
  /** Runs it so that all rows are staged, and too many of them are rejected for them to be published. */
  stage(...more: string[]): Promise<EndedLoad>
  /** How many rows of the file are in the table; null where there is none. */
  published(): Promise<number | null>
  /** Its staging table; null where there is none. */
  staging(): Promise<string | null>
}

/** Makes a job; the table is the caller's to make, or the job's own. */
export async function stagedJob(
  db: TestDatabase,
  dir: ReturnType<typeof useTempDir>,
  table: string,
): Promise<StagedJob> {
  const lines = Array.from({ length: ROWS + BAD }, (_, i) =>
    i < ROWS ? `${String(i + 1)},label ${String(i + 1)}` : `${String(i + 1)},one,too many`,
  )
  const file = await dir.write(`${table}.csv`, `id,label\n${lines.join('\n')}\n`)
  const args = [file, '--table', `"${table}"`, '--job', table, '--chunk-size', '8KiB', '--atomic']
  const job: StagedJob = {
    file,
    table,
    run: (...more) => runLoad(db, [...args, '--lanes', '2', ...limited('5%', more)]),
    async stage(...more) {
      const run = await runLoad(db, [...args, '--lanes', '2', ...limited('1%', more)])
      expect(run.report.error?.code, run.stderr).toBe('REJECTED_TOO_MANY')
      expect(run.code).toBe(3)
      expect(await claimedRows(db, table)).toBe(ROWS)
      expect((await job.published()) ?? 0).toBe(0)
      return run
    },
    async published() {
      const there = await db.value('select to_regclass($1) is not null', [`"${table}"`])
      if (there !== true) return null
      return (await db.value(
        `select count(*)::int from "${table}" where label like 'label %'`,
      )) as number
    },
    async staging() {
      const name = await db.value(
        `select to_regclass(target->'staging'->>'schema' || '.' || (target->'staging'->>'table'))::text
           from millrace.job where key = $1`,
        [table],
      )
      return (name ?? null) as string | null
    },
  }
  return job
}

function limited(limit: string, more: readonly string[]): readonly string[] {
  return more.includes('--max-errors') ? more : [...more, '--max-errors', limit]
}

/** Staging tables and what belongs to them, of all jobs of a database. */
export async function stagedThings(db: TestDatabase): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `select relname::text as name from pg_class where relnamespace = 'millrace'::regnamespace and relname like 'staging%'
     union all
     select proname::text from pg_proc where pronamespace = 'millrace'::regnamespace`,
  )
  return rows.map(({ name }) => name)
}
