import type { Client } from 'pg'
import { readRejects, type RejectFilter } from '../../checkpoint/kept-rejects.ts'
import type { Server } from '../../target/connect.ts'
import { type ExportOptions, exportFormat } from './export-format.ts'
import { withState } from './with-state.ts'
import { writeWhole } from './write-file.ts'

/** What `exportRejects` takes. */
export interface ExportRejectsOptions extends ExportOptions {
  /** A `postgres://` URL, or a pool of the package `pg`. */
  readonly to: Server
  /** A path that ends in `.ndjson`, `.csv` or `.parquet`. */
  readonly output: string
  /** The rejects of one job; all by default. */
  readonly job?: string | undefined
  /** Only rejects with this code: an SQLSTATE, or a code of Millrace. */
  readonly reason?: string | undefined
  /** Schema of the checkpoint's tables in the target database; `millrace` by default. */
  readonly stateSchema?: string | undefined
}

/**
 * Writes the rejects that are not replayed to a file, as they are at one moment, in the order of their inputs. A file that
 * is there is replaced.
 *
 * Shape:  resolves with their number. Memory holds 8 MiB of records at a time.
 * Errors: CONFIG_BAD_VALUE for a name without a known format, or a job that is not there; REJECTS_NOT_WRITTEN.
 */
export async function exportRejects(options: ExportRejectsOptions): Promise<{ rejects: number }> {
  const { output, job, reason, stateSchema = 'millrace' } = options
  exportFormat(output, options)
  const filter = { job: job ?? null, code: reason ?? null }
  const write = (client: Client): Promise<number> =>
    writeRejects(client, stateSchema, filter, output, options)
  return { rejects: await withState({ to: options.to, stateSchema, job }, write) }
}

/** As exportRejects, over a connection that is there; returns their number. */
export async function writeRejects(
  client: Client,
  stateSchema: string,
  filter: RejectFilter,
  output: string,
  options: ExportOptions = {},
): Promise<number> {
  const encoder = await exportFormat(output, options)(options)
  let written = 0
  async function* parts(): AsyncGenerator<Buffer> {
    for await (const rejects of readRejects(client, stateSchema, filter)) {
      written += rejects.length
      yield await encoder.rows(rejects)
    }
    yield await encoder.end()
  }
  await writeWhole(output, parts())
  return written
}
