// @ts-check
import { createReadStream, createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'

const missingPrivilege = '42501'

/**
 * @typedef {import('../generate.mjs').DataFile} DataFile
 * @typedef {{ rows: number, checksum: string }} Fingerprint
 */

/** The bench's own database on the server: made at the start, dropped at the end. */
export class BenchDatabase {
  /** @type {pg.Client} */
  #admin
  /** @type {string} */
  #name
  /** @type {pg.Client} */
  client
  /** @type {string} */
  url
  /** False when the server's user may not run CHECKPOINT; then runs pay for each other. */
  mayCheckpoint = true

  /** @param {pg.Client} admin @param {string} name @param {string} url */
  constructor(admin, name, url) {
    this.#admin = admin
    this.#name = name
    this.url = url
    this.client = quietClient(url)
  }

  /** @param {string} serverUrl */
  static async create(serverUrl) {
    const admin = quietClient(serverUrl)
    await admin.connect()
    const name = `millrace_bench_${process.pid}`
    try {
      await admin.query(
        `create database ${name} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'`,
      )
      const url = new URL(serverUrl)
      url.pathname = name
      const database = new BenchDatabase(admin, name, url.href)
      await database.client.connect()
      return database
    } catch (error) {
      await admin.end()
      throw error
    }
  }

  /**
   * Makes the dataset's table new and empty, and has the server write out what earlier runs left behind.
   * @param {DataFile} data
   */
  async freshTable(data) {
    await this.client.query(`drop table if exists ${data.name}`)
    // A vacuum that wakes up would be paid by whichever contender is running.
    await this.client.query(
      `create table ${data.name} (${data.columns}) with (autovacuum_enabled = false)`,
    )
    if (!this.mayCheckpoint) return
    try {
      await this.client.query('checkpoint')
    } catch (error) {
      if (/** @type {{code?: string}} */ (error).code !== missingPrivilege) throw error
      this.mayCheckpoint = false
    }
  }

  /**
   * Counts the rows and sums a hash of each: equal for equal rows in any order.
   * @param {string} table
   * @returns {Promise<Fingerprint>}
   */
  async fingerprint(table) {
    const { rows } = await this.client.query(
      `select count(*) as rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) as checksum from ${table} t`,
    )
    return { rows: Number(rows[0].rows), checksum: rows[0].checksum }
  }

  /**
   * Loads the file as PostgreSQL itself reads it: `COPY ... (FORMAT csv, HEADER)` over the file's bytes.
   * @param {DataFile} data
   * @param {AbortSignal} signal
   */
  async serverLoad(data, signal) {
    await this.freshTable(data)
    const copy = this.client.query(
      copyFrom(`copy ${data.name} from stdin with (format csv, header)`),
    )
    await pipeline(createReadStream(data.path), copy, { signal })
  }

  /**
   * Writes the table into a file in COPY's binary format.
   * @param {string} table
   * @param {string} path
   */
  async exportBinary(table, path) {
    const copy = this.client.query(copyTo(`copy ${table} to stdout with (format binary)`))
    await pipeline(copy, createWriteStream(`${path}.unfinished`))
    await rename(`${path}.unfinished`, path)
  }

  async close() {
    await this.client.end().catch(() => undefined)
    await this.#admin.query(`drop database if exists ${this.#name} with (force)`)
    await this.#admin.end()
  }
}

/** @param {string} url */
function quietClient(url) {
  const client = new pg.Client({ connectionString: url })
  // A lost connection also fails the query in hand, which is where it is dealt with.
  client.on('error', () => undefined)
  return client
}
