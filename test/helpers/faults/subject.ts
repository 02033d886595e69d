import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { type Expected, MIXED_TABLE, mixedRows } from '../bad-rows.ts'
import { randomFrom } from '../random.ts'

const bin = fileURLToPath(new URL('../../../src/cli/bin.mjs', import.meta.url))

/** How a loader has ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
  readonly seconds: number
}

/** A loader that runs. */
export interface Loader {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
}

/** A file with rows of which some are bad, and the loads of it that faults are to disturb. */
export class Subject {
  /** The database of the server itself, past all faults. */
  url: string
  #random: () => number = () => 0
  readonly rows: number
  readonly good: number
  readonly size: number
  /** Of a load without a fault. */
  milliseconds = 0
  /** How often a loader was killed with a part of the rows loaded. */
  midway = 0
  readonly #file: string
  readonly #head: number
  readonly #bad: readonly Expected[]
  #checksum = ''

  private constructor(url: string, file: string, rows: number) {
    const { bytes, bad } = mixedRows(rows, (row) => row % 211 === 210)
    this.url = url
    this.rows = rows
    this.good = rows - bad.length
    this.size = bytes.length
    this.#file = file
    this.#head = bytes.indexOf(10) + 1
    this.#bad = bad
  }

  /** Writes the file, and loads it once without a fault: that gives the checksum to meet. */
  static async open(url: string, folder: string, rows: number): Promise<Subject> {
    const file = join(folder, `rows-${String(rows)}.csv`)
    const subject = new Subject(url, file, rows)
    await writeFile(file, mixedRows(rows, (row) => row % 211 === 210).bytes)
    await subject.newTable()
    const run = await subject.start('reference', url, subject.options()).ended
    if (run.code !== 0) throw new Error(`the load without a fault has failed: ${run.stderr}`)
    subject.milliseconds = run.seconds * 1000
    subject.#checksum = await subject.#checksumNow()
    const problems = await subject.problems('reference')
    if (problems.length > 0) throw new Error(problems.join('\n'))
    return subject
  }

  /** Determines all that is random from here on. */
  seed(seed: number): void {
    this.#random = randomFrom(seed)
  }

  /** A number from `from` to `to`. */
  pick(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1))
  }

  /** Its database on a server that has moved. */
  at(server: string): string {
    const url = new URL(server)
    url.pathname = new URL(this.url).pathname
    return url.href
  }

  /** Lanes and a chunk size, at random. */
  options(): string[] {
    const kibibytes = [16, 32, 64, 128][this.pick(0, 3)]!
    return ['--lanes', String(this.pick(1, 4)), '--chunk-size', `${String(kibibytes)}KiB`]
  }

  async newTable(): Promise<void> {
    await this.ask('drop table if exists mixed, modes; drop domain if exists percent')
    await this.ask(MIXED_TABLE)
  }

  /** Starts a load; it is killed if it should hang. */
  start(job: string, url: string, options: readonly string[]): Loader {
    const args = [this.#file, '--to', url, '--table', 'mixed', '--job', job, '--log-level', 'warn']
    const began = performance.now()
    const child = spawn(process.execPath, [bin, 'load', ...args, ...options], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
    const timer = setTimeout(() => {
      stderr += '\nit hung, and was killed'
      child.kill('SIGKILL')
    }, HANGS_MS)
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        clearTimeout(timer)
        resolve({ code, signal, stderr, seconds: (performance.now() - began) / 1000 })
      })
    })
    return { process: child, ended }
  }

  /** Loads to the end, without a fault, and says what is wrong then. */
  async finish(job: string): Promise<string[]> {
    const run = await this.start(job, this.url, this.options()).ended
    const problems = await this.problems(job)
    return run.code === 0 ? problems : [`the last run ended with ${said(run)}`, ...problems]
  }

  /** What is wrong with what a job has loaded, kept and left. */
  async problems(job: string): Promise<string[]> {
    const all = [
      await this.#problemsOfRows(),
      await this.#problemsOfClaims(job),
      await this.#problemsOfRejects(job),
      await this.#problemsOfServer(),
    ]
    return all.flat()
  }

  /** Rows that are committed. */
  async loaded(job: string): Promise<number> {
    const [row] = await this.ask<{ loaded: string }>(
      `select coalesce(sum(loaded), 0) as loaded from millrace.claim join millrace.job on job.id = claim.job
        where job.key = '${job}'`,
    ).catch(() => [])
    return Number(row?.loaded ?? 0)
  }

  async ask<Row extends object>(sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.url })
    client.on('error', () => undefined)
    await client.connect()
    try {
      const found: unknown = await client.query(sql)
      return Array.isArray(found) ? [] : (found as { rows: Row[] }).rows
    } finally {
      await client.end()
    }
  }

  async #checksumNow(): Promise<string> {
    const [row] = await this.ask<{ sum: string }>(
      'select sum(hashtextextended(t::text, 0)::numeric)::text as sum from mixed t',
    )
    return String(row?.sum)
  }

  async #problemsOfRows(): Promise<string[]> {
    const [row] = await this.ask<{ rows: string; ids: string }>(
      'select count(*) as rows, count(distinct id) as ids from mixed where id > 0',
    )
    const good = String(this.good)
    const problems: string[] = []
    if (row?.rows !== good || row.ids !== good) {
      problems.push(`${String(row?.rows)} rows, ${String(row?.ids)} ids, expected ${good}`)
    }
    if ((await this.#checksumNow()) !== this.#checksum) problems.push('the checksum is another')
    return problems
  }

  async #problemsOfClaims(job: string): Promise<string[]> {
    const claims = await this.ask<Record<'start' | 'end' | 'read' | 'loaded' | 'rejected', string>>(
      `select start_byte as start, end_byte as "end", read, loaded, rejected
         from millrace.claim join millrace.job on job.id = claim.job where job.key = '${job}' order by start_byte`,
    )
    const sums = { at: this.#head, read: 0, loaded: 0, rejected: 0 }
    const problems: string[] = []
    for (const claim of claims) {
      if (Number(claim.start) !== sums.at) {
        problems.push(`a claim begins at byte ${claim.start}, expected ${String(sums.at)}`)
      }
      sums.at = Number(claim.end)
      sums.read += Number(claim.read)
      sums.loaded += Number(claim.loaded)
      sums.rejected += Number(claim.rejected)
    }
    const bad = this.#bad.length
    const expected = { at: this.size, read: this.rows, loaded: this.good, rejected: bad }
    const got = JSON.stringify(sums)
    if (got !== JSON.stringify(expected)) {
      problems.push(`the claims come to ${got}, expected ${JSON.stringify(expected)}`)
    }
    return problems
  }

  async #problemsOfRejects(job: string): Promise<string[]> {
    const kept = await this.ask<{
      record: string
      line: string
      byte: string
      raw: Buffer
      code: string
    }>(
      `select record, line, byte, raw, code from millrace.reject join millrace.job on job.id = reject.job
        where job.key = '${job}' order by byte`,
    )
    const got = kept.map(({ record, line, byte, raw, code }) =>
      [record, line, byte, code, raw.toString('hex')].join(' '),
    )
    const expected = this.#bad.map(({ record, line, byte, raw, code }) =>
      [record, line, byte, code, raw.toString('hex')].join(' '),
    )
    if (got.join('\n') === expected.join('\n')) return []
    const first = expected.findIndex((one, i) => one !== got[i])
    return [
      `${String(got.length)} rejects, expected ${String(expected.length)}; the first that differs: ${String(got[first])}, expected ${String(expected[first])}`,
    ]
  }

  async #problemsOfServer(): Promise<string[]> {
    for (let tries = 0; ; tries++) {
      const left = await this.ask(
        `select application_name, state, query from pg_stat_activity
          where datname = current_database() and application_name like 'millrace%'
         union all select 'prepared', gid, '' from pg_prepared_xacts`,
      )
      if (left.length === 0) return []
      if (tries === 100) return [`left on the server: ${JSON.stringify(left)}`]
      await sleep(50)
    }
  }
}

/** Longer than any load here takes, with all its tries. */
const HANGS_MS = 120_000

/** How a run has ended, for a report. */
export function said({ code, signal, stderr }: Ended): string {
  return `${String(code ?? signal)}: ${stderr.slice(-2000)}`
}
