// @ts-check
// What the kill tests and the campaign share. Plain JavaScript: the campaign runs without a step in between.
import { spawn } from 'node:child_process'
import { open, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

const bin = fileURLToPath(new URL('../../src/cli/bin.mjs', import.meta.url))
const HEADER = 'id,label,amount,day,note\n'
const CHUNK_SIZES = ['64KiB', '128KiB', '192KiB', '256KiB']
const MOST_LANES = 4
const REFERENCE = 'kill_reference'

/**
 * Numbers from 0 to 1 that a seed determines (mulberry32).
 *
 * @param {number} seed
 */
export function randomFrom(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/**
 * Writes a CSV file of numbers, dates, NULLs, and texts with delimiters, quotes and newlines.
 *
 * @param {string} path
 * @param {number} rows
 * @param {number} seed
 */
export async function writeRows(path, rows, seed) {
  const random = randomFrom(seed)
  const notes = ['', '""', 'plain', '"a, b"', '"he said ""no"""', '"two\nlines"', 'żółw']
  const handle = await open(path, 'w')
  try {
    await handle.write(HEADER)
    for (let from = 1; from <= rows; from += 10_000) {
      let text = ''
      for (let id = from; id < from + 10_000 && id <= rows; id++) {
        const u = random()
        const day = `2024-0${String(1 + (id % 9))}-1${String(id % 10)}`
        const note = notes[Math.floor(u * notes.length)]
        text += `${String(id)},label ${String(id % 977)},${(u * 1000).toFixed(2)},${day},${note}\n`
      }
      await handle.write(text)
    }
  } finally {
    await handle.close()
  }
}

/**
 * Runs the loader; kills it with SIGKILL after some milliseconds, unless it has ended by then.
 *
 * @param {readonly string[]} args
 * @param {number | null} killAfter
 */
export async function runLoader(args, killAfter) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG|MILLRACE_|DATABASE_URL|NODE_OPTIONS|VITEST)/.test(name),
  )
  const began = performance.now()
  const child = spawn(process.execPath, [bin, 'load', ...args, '--json'], {
    env: Object.fromEntries(inherited),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => (stdout += data))
  child.stderr.on('data', (data) => (stderr += data))
  const timer = killAfter === null ? null : setTimeout(() => child.kill('SIGKILL'), killAfter)
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        const milliseconds = performance.now() - began
        resolve({ code, killed: signal === 'SIGKILL', stdout, stderr, milliseconds })
      })
    })
  } finally {
    if (timer !== null) clearTimeout(timer)
  }
}

/**
 * Writes the input and loads it once without a fault: that gives the checksum to meet, and the time to kill within.
 *
 * @param {{ url: string, file: string, rows: number, seed: number, rounds: number }} options
 */
export async function prepareCampaign({ url, file, rows, seed, rounds }) {
  await writeRows(file, rows, seed)
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const args = [file, '--to', url, '--table', REFERENCE, '--chunk-size', '128KiB', '--lanes', '2']
  const times = []
  // The first load finds everything cold: it takes longer than those that are to be killed.
  for (let i = 0; i < 2; i++) {
    const run = await runLoader([...args, '--restart'], null)
    if (run.code !== 0) throw new Error(`the load without a fault has failed: ${run.stderr}`)
    times.push(run.milliseconds)
  }
  const { size } = await stat(file)
  const expected = { rows, size, data: Buffer.byteLength(HEADER), checksum: '' }
  expected.checksum = await checksumOf(client, REFERENCE)
  return { url, file, seed, rounds, client, expected, milliseconds: Math.min(...times) }
}

/**
 * The runs of a round: one or two that are killed, each with lanes and a chunk size of its own, and one to the end.
 *
 * Shape: the kills of all rounds together are uniform over the time of a load: each round has its own share of it.
 *
 * @param {number} seed
 * @param {number} round
 * @param {number} rounds
 */
export function planRound(seed, round, rounds) {
  const random = randomFrom(seed * 1_000_003 + round)
  const runs = Array.from({ length: random() < 0.4 ? 3 : 2 }, () => ({
    lanes: 1 + Math.floor(random() * MOST_LANES),
    chunkSize: CHUNK_SIZES[Math.floor(random() * CHUNK_SIZES.length)] ?? '64KiB',
    /** Of the time of a load; null for the last run. */
    killAt: /** @type {number | null} */ (random()),
  }))
  runs.forEach((run, i) => {
    if (i === 0) run.killAt = (round + (run.killAt ?? 0)) / rounds
    if (i === runs.length - 1) run.killAt = null
  })
  return { runs, tableExists: random() < 0.5 }
}

/**
 * Loads the input under a new job, killed as planned, then to its end; tells what is wrong afterwards.
 *
 * @param {Awaited<ReturnType<typeof prepareCampaign>>} campaign
 * @param {number} round
 * @param {{ beforeLastRun?: (table: string) => Promise<void> }} [hooks]
 */
export async function runRound(campaign, round, hooks = {}) {
  const { url, file, seed, rounds, client, expected, milliseconds } = campaign
  const plan = planRound(seed, round, rounds)
  const table = `kill_${String(round)}`
  if (plan.tableExists) await client.query(`create table ${table} (like ${REFERENCE})`)
  /** @type {string[]} */
  const problems = []
  let killedMidway = 0
  for (const { lanes, chunkSize, killAt } of plan.runs) {
    if (killAt === null) await hooks.beforeLastRun?.(table)
    const before = await loadedRows(client, table)
    const args = [file, '--to', url, '--table', table, '--job', table]
    args.push('--lanes', String(lanes), '--chunk-size', chunkSize)
    const run = await runLoader(args, killAt === null ? null : killAt * milliseconds)
    if (run.killed) {
      const loaded = await loadedRows(client, table)
      if (loaded > 0 && loaded < expected.rows) killedMidway++
      continue
    }
    problems.push(...problemsOfRun(run, before, expected.rows))
  }
  problems.push(...(await problemsOfTable(client, table, expected)))
  problems.push(...(await problemsOfServer(client)))
  await client.query(`drop table if exists ${table}`)
  const replay = `npm run test:faults -- --seed ${String(seed)} --kills ${String(rounds)} --rows ${String(expected.rows)} --only ${String(round)}`
  return { problems, killedMidway, plan, replay }
}

/**
 * @param {{ code: number | null, stdout: string, stderr: string }} run
 * @param {number} before rows that were loaded when it began
 * @param {number} rows
 */
function problemsOfRun({ code, stdout, stderr }, before, rows) {
  if (code !== 0) return [`a run that was not killed ended with ${String(code)}: ${stderr}`]
  const { rows: counts, resumed } = JSON.parse(stdout)
  if (resumed.rows === before && counts.loaded + resumed.rows === rows) return []
  return [
    `the summary says ${String(resumed.rows)} resumed and ${String(counts.loaded)} loaded, expected ${String(before)} of ${String(rows)} resumed`,
  ]
}

/**
 * What is wrong with a loaded table and its claims; nothing, when all rows are there once.
 *
 * @param {pg.Client} client
 * @param {string} table also the name of the job
 * @param {{ rows: number, size: number, data: number, checksum: string }} expected
 */
export async function problemsOfTable(client, table, expected) {
  /** @type {string[]} */
  const problems = []
  const counted = await client.query(
    `select count(*)::int as rows, count(distinct id)::int as ids from ${table}`,
  )
  const { rows, ids } = counted.rows[0]
  if (rows !== expected.rows || ids !== expected.rows) {
    problems.push(
      `${String(rows)} rows, ${String(ids)} of them distinct, expected ${String(expected.rows)}`,
    )
  }
  const checksum = await checksumOf(client, table)
  if (checksum !== expected.checksum) {
    problems.push(`the checksum is ${checksum}, expected ${expected.checksum}`)
  }
  problems.push(...(await problemsOfClaims(client, table, expected)))
  return problems
}

/**
 * @param {pg.Client} client
 * @param {string} job
 * @param {{ rows: number, size: number, data: number }} expected
 */
async function problemsOfClaims(client, job, expected) {
  const { rows: claims } = await client.query(
    `select start_byte::int8::float8 as start, end_byte::float8 as "end", first_record::float8 as record,
            first_line::float8 as line, lines::float8, read::float8, loaded::float8
       from millrace.claim join millrace.job on job.id = claim.job
      where job.key = $1 order by start_byte`,
    [job],
  )
  /** @type {string[]} */
  const problems = []
  let at = { byte: expected.data, record: 2, line: 2 }
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

/**
 * What loaders have left behind on the server: connections, also those that a killed loader had.
 *
 * @param {pg.Client} client
 */
export async function problemsOfServer(client) {
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

/**
 * @param {pg.Client} client
 * @param {string} table
 */
async function checksumOf(client, table) {
  const { rows } = await client.query(
    `select sum(hashtextextended(t::text, 0)::numeric)::text as checksum from ${table} t`,
  )
  return String(rows[0].checksum)
}

/**
 * The rows that the claims of a job know.
 *
 * @param {pg.Client} client
 * @param {string} job
 */
async function loadedRows(client, job) {
  const { rows } = await client.query(
    `select coalesce(sum(loaded), 0)::int as loaded
       from millrace.claim join millrace.job on job.id = claim.job where job.key = $1`,
    [job],
  )
  return Number(rows[0].loaded)
}
