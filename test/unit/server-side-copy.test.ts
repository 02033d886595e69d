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
  const lines = files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => readFileSync(join(src, file), 'utf8').split('\n'))
    .filter((line) => !/\bfrom '[^']*'$/.test(line)) // what is imported
  const rest = lines.filter((line) => !/^import\b|\bimport\(/.test(line))
  expect(rest.filter((line) => SERVER_SIDE.test(line))).toEqual([])
  const copies = lines.filter((line) => /`copy /.test(line))
  expect(copies.length).toBeGreaterThanOrEqual(4)
  expect(copies.filter((line) => !line.includes(' from stdin'))).toEqual([])
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
