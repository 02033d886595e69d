import type { RejectEncoder } from './export-format.ts'
import { EXPORT_FIELDS, exportValues, isRequired } from './export-fields.ts'

const NUMBERS: ReadonlySet<string> = new Set(['id', 'record', 'line', 'byte'])

/**
 * Rejects as Parquet, with `raw` as bytes.
 *
 * Shape: the rows of each call are a row group.
 * Why:   parquetjs-lite 0.8.7 writes least and greatest values that others do not read, does not wait for the bytes of its
 *        header and its indexes, and ends the process where those cannot be written: it is asked for no statistics and
 *        no indexes, and writes into memory.
 */
export async function parquetEncoder(): Promise<RejectEncoder> {
  const { default: parquet } = await import('parquetjs-lite')
  const written: Buffer[] = []
  const output = {
    write(bytes: Buffer, callback: () => void) {
      written.push(bytes)
      callback()
    },
    end: (callback: () => void) => callback(),
  }
  const take = (): Buffer => Buffer.concat(written.splice(0))
  const fields = EXPORT_FIELDS.map((name) => {
    const type = NUMBERS.has(name) ? ('INT64' as const) : ('UTF8' as const)
    return [name, { type, optional: !isRequired(name), statistics: false }] as const
  })
  const raw = { type: 'BYTE_ARRAY' as const, optional: false, statistics: false }
  const schema = new parquet.ParquetSchema({ ...Object.fromEntries(fields), raw })
  const writer = await parquet.ParquetWriter.openStream(schema, output, { pageIndex: false })
  return {
    async rows(rejects) {
      writer.setRowGroupSize(rejects.length)
      for (const reject of rejects)
        await writer.appendRow({ ...exportValues(reject), raw: reject.raw })
      return take()
    },
    async end() {
      await writer.close()
      return take()
    },
  }
}
