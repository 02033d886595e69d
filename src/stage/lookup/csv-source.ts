import { ConfigError, SourceError } from '../../core/errors.ts'
import { sha256 } from '../../source/bytes/file.ts'
import type { CsvDialect } from '../../source/csv/dialect.ts'
import { readWhole, type WholeCsv } from '../../source/csv/read-whole.ts'
import { openInput } from '../../source/open.ts'
import { type Found, keyText, type LookupSource } from './lookup.ts'

/** A CSV file to look up in. */
export interface CsvFile {
  readonly path: string
  readonly keys: readonly string[]
  readonly columns: readonly string[]
  readonly dialect: Omit<Partial<CsvDialect>, 'header'>
  /** Bytes, at most. */
  readonly maxBytes: number
}

/** Rows of a file by key. */
interface Indexed {
  readonly csv: WholeCsv
  readonly fields: readonly number[]
  readonly rows: ReadonlyMap<string, number>
}

/**
 * Looks up in a CSV file, which is held in memory while somebody has it open: once in each thread.
 *
 * Errors: CONFIG_UNKNOWN_COLUMN; CONFIG_BAD_VALUE for a file that is too large, or has a key twice;
 *         SOURCE_CHANGED_WHILE_READING when it is not the file that the fingerprint was taken of.
 */
export function csvSource(file: CsvFile): LookupSource {
  let fingerprint: string | null = null
  let users = 0
  let held: Promise<Indexed> | null = null

  async function read(): Promise<Indexed> {
    const bytes = await readFile(file)
    if (fingerprint !== null && sha256(bytes) !== fingerprint) {
      const message = `${file.path} was changed after this run had begun`
      throw new SourceError('SOURCE_CHANGED_WHILE_READING', message, {
        where: { source: file.path },
      })
    }
    return indexByKey(file, await readWhole(file.path, bytes, file.dialect))
  }

  return {
    async fingerprint() {
      fingerprint = sha256(await readFile(file))
      return fingerprint
    },
    async open() {
      users++
      held ??= read()
      const release = (): void => {
        if (--users === 0) held = null
      }
      try {
        const { csv, fields, rows } = await held
        const find = (text: string): Found => {
          const row = rows.get(text)
          return row === undefined ? null : fields.map((field) => csv.text(row, field))
        }
        return { find: (keys) => keys.map(({ text }) => find(text)), close: release }
      } catch (error) {
        release()
        throw error
      }
    },
  }
}

async function readFile({ path, maxBytes }: CsvFile): Promise<Buffer> {
  const source = await openInput(path)
  try {
    const { size } = source
    if (size === null) throw badFile(path, 'it is no regular file')
    if (size > maxBytes) {
      throw badFile(path, `it is ${String(size)} bytes, over the limit of ${String(maxBytes)}`, {
        hint: 'load it into a table of the target database, and look up there with { table }; or allow more with maxBytes: each thread holds the file',
      })
    }
    const bytes = Buffer.allocUnsafe(size)
    await source.read(bytes, 0, size, 0)
    await source.verify()
    return bytes
  } finally {
    await source.close()
  }
}

/** A row that has a NULL in its key is never found. */
function indexByKey(file: CsvFile, csv: WholeCsv): Indexed {
  const keys = file.keys.map((name) => fieldNamed(file, csv, name))
  const fields = file.columns.map((name) => fieldNamed(file, csv, name))
  const rows = new Map<string, number>()
  for (let row = 0; row < csv.rowCount; row++) {
    const texts = keys.map((field) => csv.text(row, field))
    if (!areThere(texts)) continue
    const text = keyText(texts)
    const other = rows.get(text)
    if (other !== undefined) {
      const records = `records ${String(csv.record(other))} and ${String(csv.record(row))}`
      throw badFile(file.path, `its ${records} have the same key (${file.keys.join(', ')})`)
    }
    rows.set(text, row)
  }
  return { csv, fields, rows }
}

function areThere(texts: readonly (string | null)[]): texts is readonly string[] {
  return texts.every((text) => text !== null)
}

function fieldNamed({ path }: CsvFile, { names }: WholeCsv, name: string): number {
  const field = names.indexOf(name)
  if (field >= 0 && names.lastIndexOf(name) === field) return field
  const which = field < 0 ? 'is not there' : 'is there more than once'
  const message = `enrich names column ${JSON.stringify(name)} of ${path}, which ${which}`
  const known = names.map((one) => JSON.stringify(one)).join(', ')
  throw new ConfigError('CONFIG_UNKNOWN_COLUMN', message, { hint: `its columns are ${known}` })
}

function badFile(path: string, what: string, details: { hint?: string } = {}): ConfigError {
  return new ConfigError('CONFIG_BAD_VALUE', `enrich cannot look up in ${path}: ${what}`, details)
}
