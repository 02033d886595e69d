import { open } from 'node:fs/promises'
import { extname } from 'node:path'
import { batchesOfAsync } from '../../core/batches.ts'
import { MOST_REJECTS } from '../../checkpoint/kept-rejects.ts'
import { ConfigError, SourceError, toError } from '../../core/errors.ts'
import { csv } from '../streams/csv-input.ts'
import type { StreamChunk } from '../streams/stream-chunk.ts'

/** Other bytes for the record of a reject. */
export interface Edit {
  readonly id: number
  readonly raw: Buffer
}

/** A line of an export, as somebody has given it back. */
interface EditedLine {
  readonly id?: unknown
  readonly raw?: unknown
  readonly raw_base64?: unknown
}

const READERS = {
  '.ndjson': readLines,
  '.csv': readCsv,
} as const

/** How a file of edited rejects is written. Errors: CONFIG_BAD_VALUE. */
export function editFormatOf(path: string): keyof typeof READERS {
  const extension = extname(path).toLowerCase()
  if (Object.hasOwn(READERS, extension)) return extension as keyof typeof READERS
  const message = `${path} cannot be read for edited rejects, expected ${Object.keys(READERS).join(' or ')}`
  throw new ConfigError('CONFIG_BAD_VALUE', message, {
    hint: 'export the rejects in one of these formats, and mend that',
  })
}

/**
 * Reads the ids and records of an export of rejects, some at a time.
 *
 * Errors: CONFIG_BAD_VALUE for another format; SOURCE_NOT_FOUND, SOURCE_UNREADABLE; SOURCE_BAD_ROW, with its place, for a
 *         line without an id or a record.
 */
export async function* readEdits(path: string): AsyncGenerator<Edit[]> {
  yield* batchesOfAsync(READERS[editFormatOf(path)](path), MOST_REJECTS)
}

type SizedEdit = Edit & { readonly bytes: number }

async function* readLines(path: string): AsyncGenerator<SizedEdit> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, toError(error))
  })
  let line = 0
  for await (const text of file.readLines()) {
    line++
    const bare = line === 1 ? text.replace(/^\uFEFF/, '') : text
    if (bare.trim() === '') continue
    const edit = editOf(parsed(bare))
    if (typeof edit === 'string') throw badLine(path, line, edit)
    yield edit
  }
}

function parsed(text: string): EditedLine {
  try {
    return Object(JSON.parse(text)) as EditedLine
  } catch {
    return {}
  }
}

async function* readCsv(path: string): AsyncGenerator<SizedEdit> {
  for await (const chunk of csv(path).chunks() as AsyncIterable<StreamChunk>) {
    let row = 0
    for (const { id, raw, raw_base64 } of chunk.rows()) {
      const hasId = typeof id === 'string' && /^\d+$/.test(id)
      const isBytes = raw === null && raw_base64 != null
      const bytes = isBytes ? { raw_base64 } : { raw: raw === null ? '' : raw, raw_base64 }
      const edit = editOf({ id: hasId ? Number(id) : id, ...bytes })
      if (typeof edit === 'string') throw badLine(path, chunk.where(row).line ?? 0, edit)
      yield edit
      row++
    }
  }
}

/** What is wrong with it, where it is none. */
function editOf({ id, raw, raw_base64: base64 }: EditedLine): SizedEdit | string {
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) return 'has no id'
  const bytes =
    typeof raw === 'string' && base64 == null
      ? Buffer.from(raw)
      : typeof base64 === 'string' && raw == null && BASE64.test(base64)
        ? Buffer.from(base64, 'base64')
        : null
  return bytes === null
    ? 'needs one of raw and raw_base64'
    : { id, raw: bytes, bytes: bytes.length }
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

function badLine(path: string, line: number, reason: string): SourceError {
  return new SourceError('SOURCE_BAD_ROW', `${path}: line ${String(line)} ${reason}`, {
    where: { source: path, line },
    hint: 'keep the fields id and raw (or raw_base64) as `millrace rejects export` writes them',
  })
}

function unreadable(path: string, error: NodeJS.ErrnoException): SourceError {
  const missing = error.code === 'ENOENT'
  return new SourceError(
    missing ? 'SOURCE_NOT_FOUND' : 'SOURCE_UNREADABLE',
    missing ? `there is no file ${path}` : `cannot read ${path}: ${error.message}`,
    { where: { source: path }, cause: error },
  )
}
