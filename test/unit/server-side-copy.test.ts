import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** A COPY that has the server read or write files of its machine, or run programs there; and the functions that do. */
const SERVER_SIDE =
  /\b(?:from|to)\s+(?:program\b|'(?!s?tdin)[^']*\/)|\b(?:pg_read_(?:binary_)?file|pg_ls_dir|lo_import|lo_export)\b/i

test('nothing asks the server for files or programs of its machine', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  const copies = files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      [...readFileSync(join(src, file), 'utf8').matchAll(/`[^`]*\b(?:copy|select)\b[^`]*`/gi)].map(
        ([sql]) => ({ file, sql }),
      ),
    )
  expect(copies.filter(({ sql }) => /^`copy /.test(sql)).length).toBeGreaterThanOrEqual(3)
  expect(copies.filter(({ sql }) => SERVER_SIDE.test(sql))).toEqual([])
  expect(copies.filter(({ sql }) => /^`copy /.test(sql) && !sql.includes(' from stdin'))).toEqual(
    [],
  )
})

test('the rule finds what it looks for', () => {
  for (const sql of [
    `copy t from '/etc/passwd'`,
    `COPY t FROM PROGRAM 'id'`,
    `copy t to program 'id'`,
  ]) {
    expect(SERVER_SIDE.test(sql)).toBe(true)
  }
  expect(SERVER_SIDE.test('copy t from stdin (format csv)')).toBe(false)
})
