import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { expect } from 'vitest'
import type { TestDatabase } from './database.ts'
import { runLoad } from './loads.ts'
import { randomFrom } from './random.ts'

const HEADER = 'id,label,amount,day,note\n'
const TABLE = 'reference'

/** A file, and what a table and its claims must come to when it is loaded. */
export interface Reference {
  readonly file: string
  readonly rows: number
  /** Bytes of the file. */
  readonly size: number
  readonly checksum: string
  /** A connection past all faults. */
  readonly client: Client
}

/** Writes a file of numbers, dates, NULLs, and texts with delimiters, quotes and newlines; loads it once into `reference`. */
export async function loadReference(
  db: TestDatabase,
  file: string,
  rows: number,
  seed: number,
): Promise<Reference> {
  const bytes = Buffer.from(rowsOf(rows, seed))
  await writeFile(file, bytes)
  const run = await runLoad(db, [file, '--table', TABLE])
  expect(run.code, run.stderr).toBe(0)
  const client = new Client({ connectionString: db.url })
  await client.connect()
  return { file, rows, size: bytes.length, checksum: await checksumOf(client, TABLE), client }
}

function rowsOf(rows: number, seed: number): string {
  const random = randomFrom(seed)
  const notes = ['', '""', 'plain', '"a, b"', '"he said ""no"""', '"two\nlines"', 'żółw']
  const lines: string[] = []
  for (let id = 1; id <= rows; id++) {
    const u = random()
    const day = `2024-0${String(1 + (id % 9))}-1${String(id % 10)}`
    const note = notes[Math.floor(u * notes.length)]!
    lines.push(`${String(id)},label ${String(id % 977)},${(u * 1000).toFixed(2)},${day},${note}\n`)
  }
  return HEADER + lines.join('')
}

/** What is wrong with a loaded table and the claims of the job of that name; nothing, when all rows are there once. */
export async function problemsOfTable(table: string, expected: Reference): Promise<string[]> {
  const { client, rows } = expected
  const problems: string[] = []
  const counted = await client.query<{ rows: number; ids: number }>(
    `select count(*)::int as rows, count(distinct id)::int as ids from ${table}`,
  )
  const found = counted.rows[0]!
  if (found.rows !== rows || found.ids !== rows) {
    problems.push(
      `${String(found.rows)} rows, ${String(found.ids)} of them distinct, expected ${String(rows)}`,
    )
  }
  const checksum = await checksumOf(client, table)
  if (checksum !== expected.checksum) {
    problems.push(`the checksum is ${checksum}, expected ${expected.checksum}`)
  }
  problems.push(...(await problemsOfClaims(table, expected)))
  return problems
}

interface Claim {
  readonly start: number
  readonly end: number
  readonly record: number
  readonly line: number
  readonly lines: number
  readonly read: number
  readonly loaded: number
}

async function problemsOfClaims(job: string, expected: Reference): Promise<string[]> {
  const { rows: claims } = await expected.client.query<Claim>(
    `select start_byte::float8 as start, end_byte::float8 as "end", first_record::float8 as record,
            first_line::float8 as line, lines::float8, read::float8, loaded::float8
       from millrace.claim join millrace.job on job.id = claim.job
      where job.key = $1 order by start_byte`,
    [job],
  )
  const problems: string[] = []
  let at = { byte: HEADER.length, record: 2, line: 2 }
  let loaded = 0
  for (const claim of claims) {
    if (claim.start < at.byte) problems.push(`claims overlap at byte ${String(claim.start)}`)
    if (claim.start > at.byte) problems.push(`no claim has bytes ${String(at.byte)} and on`)
    if (claim.record !== at.record || claim.line !== at.line) {
      problems.push(
        `the claim at byte ${String(claim.start)} begins with record ${String(claim.record)} in line ${String(claim.line)}, expected ${String(at.record)} in ${String(at.line)}`,
      )
    }
    at = { byte: claim.end, record: claim.record + claim.read, line: claim.line + claim.lines }
    loaded += claim.loaded
  }
  if (at.byte !== expected.size) {
    problems.push(`the claims end at byte ${String(at.byte)}, the file at ${String(expected.size)}`)
  }
  if (loaded !== expected.rows) {
    problems.push(`the claims say ${String(loaded)} rows, expected ${String(expected.rows)}`)
  }
  return problems
}

/** What loaders have left behind on the server: connections, also those that a killed loader had. */
export async function problemsOfServer(client: Client): Promise<string[]> {
  const deadline = Date.now() + 5000
  for (;;) {
    const { rows } = await client.query(
      `select pid, state, query from pg_stat_activity
        where datname = current_database() and application_name like 'millrace%'`,
    )
    if (rows.length === 0) return []
    if (Date.now() > deadline) return [`connections are left: ${JSON.stringify(rows)}`]
    await sleep(50)
  }
}

async function checksumOf(client: Client, table: string): Promise<string> {
  const { rows } = await client.query<{ checksum: string }>(
    `select sum(hashtextextended(t::text, 0)::numeric)::text as checksum from ${table} t`,
  )
  return String(rows[0]?.checksum)
}
