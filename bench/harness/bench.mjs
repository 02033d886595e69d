// @ts-check
import { dataFile } from '../generate.mjs'

/**
 * @typedef {import('../generate.mjs').DataFile} DataFile
 * @typedef {import('./database.mjs').BenchDatabase} BenchDatabase
 * @typedef {import('./database.mjs').Fingerprint} Fingerprint
 * @typedef {import('./args.mjs').Options} Options
 */

/** What every scenario is given: the database, the data files, and what the tables must hold. */
export class Bench {
  /** @type {Map<string, Promise<Fingerprint>>} */
  #expected = new Map()

  /**
   * @param {BenchDatabase} database
   * @param {Options} options
   * @param {AbortSignal} signal
   */
  constructor(database, options, signal) {
    this.database = database
    this.rows = options.rows
    this.runs = options.runs
    this.signal = signal
  }

  /** @param {string} line */
  log(line) {
    process.stderr.write(`${line}\n`)
  }

  /**
   * @param {import('../generate.mjs').DatasetName} name
   * @param {number} [rows]
   */
  async data(name, rows = this.rows) {
    const whole = Math.max(1, Math.round(rows))
    this.log(`  data: ${name}, ${whole.toLocaleString('en')} rows`)
    return dataFile(name, whole, this.signal)
  }

  /**
   * Finds out once per file what its table must hold, by having the server read the file itself.
   * @param {DataFile} data
   * @param {string} [view]  a query over that table, for a contender that changes rows
   */
  expected(data, view) {
    const key = `${data.path} ${view ?? ''}`
    const known = this.#expected.get(key)
    if (known) return known
    const asked = this.#serverReads(data, view)
    this.#expected.set(key, asked)
    return asked
  }

  /** @param {DataFile} data @param {string} [view] */
  async #serverReads(data, view) {
    this.log(`  expectation: the server reads ${data.name} itself`)
    await this.database.serverLoad(data, this.signal)
    if (view !== undefined) return this.database.fingerprint(`(${view})`)
    const fingerprint = await this.database.fingerprint(data.name)
    if (fingerprint.rows !== data.rows) {
      throw new Error(`${data.path}: the server reads ${fingerprint.rows} rows, not ${data.rows}`)
    }
    return fingerprint
  }

  /**
   * Refuses a time whose table is not the expected one.
   * @param {DataFile} data
   * @param {string} contender
   * @param {string} [view]
   */
  async verify(data, contender, view) {
    const expected = await this.expected(data, view)
    const found = await this.database.fingerprint(data.name)
    if (found.rows === expected.rows && found.checksum === expected.checksum) return
    throw new Error(
      `${contender}: wrong table after loading ${data.path}: ` +
        `${found.rows} rows with checksum ${found.checksum}, ` +
        `expected ${expected.rows} with ${expected.checksum}`,
    )
  }
}
