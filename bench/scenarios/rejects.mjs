// @ts-check
import { setTimeout as sleep } from 'node:timers/promises'
import { keyedFaults, plainFaults, spoil } from '../datasets/spoiled.mjs'
import { start } from '../harness/child.mjs'
import { contest, contestTable, megabytes, resultOf } from '../harness/contest.mjs'
import { freshJob, loadCommand, loadReport, millrace } from '../harness/millrace.mjs'
import { atLeast, atMost, times } from '../harness/report.mjs'
import { ratioByRound } from '../harness/stats.mjs'

const share = 0.01
const mostRounds = 3
const settings = { lanes: 2, args: ['--max-errors', '2%'] }
const secondsAllowed = 5
const bytesAllowed = 256e6
const refusedExit = 3
/** The server adds its counts up a moment after a backend has ended. */
const statisticsMs = 1500

const columns = `l_orderkey bigint not null, l_partkey int, l_suppkey int, l_linenumber int not null,
  l_quantity numeric(12,2) check (l_quantity > 0), l_extendedprice numeric(12,2), l_discount numeric(12,2),
  l_tax numeric(12,2), l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date,
  l_receiptdate date, l_shipinstruct varchar(25), l_shipmode text, l_comment text`

const tables = {
  'without keys': { columns, faults: plainFaults },
  'with keys': {
    columns: `${columns}, primary key (l_orderkey, l_linenumber), foreign key (l_shipmode) references modes`,
    faults: keyedFaults,
  },
}

/** @typedef {import('../harness/bench.mjs').Bench} Bench */
/** @typedef {import('../generate.mjs').DataFile} DataFile */
/** @typedef {import('../datasets/spoiled.mjs').Spoiled} Spoiled */

/**
 * Loads lineitem with 1 % of bad records against the same without, and a file of nothing but bad records.
 * @param {Bench} bench
 * @returns {Promise<import('../harness/report.mjs').Section>}
 */
export async function run(bench) {
  const data = await bench.data('lineitem')
  await bench.database.client.query(
    `create table modes (mode text primary key);
     insert into modes values ('AIR'), ('RAIL'), ('TRUCK'), ('MAIL'), ('SHIP'), ('FOB'), ('REG AIR')`,
  )
  const sections = []
  const bars = []
  for (const [name, table] of Object.entries(tables)) {
    const suffix = name.replace(' ', '-')
    const spoiled = await spoil(data, `spoiled-${suffix}`, table.faults, share)
    const dead = /** @type {number[]} */ ([])
    const entries = [
      { data: { ...data, columns: table.columns }, contender: millrace({ ...settings, name }) },
      soundOf(bench, data, spoiled, table.columns, `${name}, ${share * 100} % bad`, dead),
    ]
    const results = await contest(bench, entries, Math.min(bench.runs, mostRounds))
    sections.push(contestTable(results))
    const [clean, bad] = entries.map(({ contender }) => resultOf(results, contender.name).seconds)
    const speed = ratioByRound(clean ?? [], bad ?? []).median
    bars.push(atLeast(`${name}: speed with ${share * 100} % bad rows`, 0.5, speed, times))
    bars.push(atMost(`${name}: dead tuples`, 0.05, Math.max(...dead) / data.rows, percent))
  }
  const { seconds, peakRssBytes } = await nothingGood(bench, data)
  bars.push(
    atMost(
      'nothing but bad rows: until it stops',
      secondsAllowed,
      seconds,
      (s) => `${s.toFixed(2)} s`,
    ),
  )
  bars.push(atMost('nothing but bad rows: peak RSS', bytesAllowed, peakRssBytes, megabytes))
  return {
    title: 'Rows that cannot be loaded: lineitem, 2 lanes',
    notes: [
      'Bad records are scattered by a seed, each kind in turn: type, NOT NULL, CHECK, too long, out of range, another number of fields, bytes that are not UTF-8; with keys also a copy of the record before and an unknown foreign key. The other table has the CHECK and the NOT NULLs, but no keys.',
      "After each run the table equals the server's own reading of the sound records, and each bad one is in the table of rejects once, with its code. Dead tuples are n_dead_tup of a table without autovacuum.",
      'Nothing but bad rows: every record has one field too many; the load ends with exit code 3 at its limit of 1 %.',
    ],
    tables: sections,
    bars,
  }
}

/** @param {number} value */
const percent = (value) => `${(value * 100).toFixed(2)} %`

/**
 * A contender that is given the file with bad records, and must leave the table of the sound ones.
 * @param {Bench} bench @param {DataFile} data @param {Spoiled} spoiled @param {string} tableColumns
 * @param {string} name @param {number[]} dead  gets the dead tuples of each run
 */
function soundOf(bench, data, spoiled, tableColumns, name, dead) {
  const { path, sound, bytes, soundRows: rows } = spoiled
  return {
    data: { ...data, path: sound, rows, bytes, columns: tableColumns },
    contender: {
      name,
      /** @param {import('../harness/contest.mjs').Load} load */
      commands: (load) => [
        loadCommand({ ...load, data: { ...load.data, path } }, settings, freshJob()),
      ],
      /** @param {string} stdout */
      async check(stdout) {
        const { job } = loadReport(stdout, rows)
        await checkRejects(bench, job ?? '', spoiled)
        dead.push(await deadTuples(bench, data.name))
      },
    },
  }
}

/** Throws when a bad record is not kept exactly once, with its code. @param {Bench} bench @param {string} job @param {Spoiled} spoiled */
async function checkRejects({ database: { client } }, job, { bad, codes }) {
  const found = await client.query(
    `select code, count(*)::int as count, count(distinct record)::int as records,
            count(*) filter (where not record = any($2) and not (code = '23505' and record + 1 = any($2)))::int as strangers
       from millrace.reject where job = (select id from millrace.job where key = $1) group by code`,
    [job, bad],
  )
  const isRight =
    found.rows.length === codes.size &&
    found.rows.every(
      ({ code, count, records, strangers }) =>
        count === codes.get(code) && records === count && strangers === 0,
    )
  if (!isRight) {
    throw new Error(
      `wrong rejects: ${JSON.stringify(found.rows)}, expected ${JSON.stringify([...codes])}`,
    )
  }
}

/** @param {Bench} bench @param {string} table */
async function deadTuples({ database: { client } }, table) {
  await sleep(statisticsMs)
  const { rows } = await client.query(
    'select n_dead_tup from pg_stat_user_tables where relid = $1::regclass',
    [table],
  )
  return Number(rows[0].n_dead_tup)
}

/** @param {Bench} bench @param {DataFile} data */
async function nothingGood(bench, data) {
  const onlyBad = [
    {
      code: 'SOURCE_BAD_ROW',
      spoil: (/** @type {string[]} */ fields) => [...fields, 'z'].join(','),
    },
  ]
  const { path } = await spoil(data, 'spoiled-all', onlyBad, 1)
  await bench.database.freshTable(data)
  const load = { data: { ...data, path }, url: bench.database.url, table: data.name }
  const command = loadCommand(load, { lanes: 2 }, freshJob())
  return start({ ...command, exitCode: refusedExit }).finished
}
