import { describe, expect, test } from 'vitest'
import type { TargetError } from '../../../src/core/errors.ts'
import { copyLine, wrapServerError } from '../../../src/target/server-error.ts'

/** What servers of several languages say, by the translations of PostgreSQL's copyfrom.c. */
const CONTEXTS = [
  'COPY t, line 3, column a: "x, line 9"',
  'COPY t, Zeile 3, Spalte a: „x“',
  'COPY t, ligne 3, colonne a : « x »',
  'COPY t, línea 3, columna a: «x»',
  'COPY t, linha 3, coluna a: "x"',
  'COPY t, riga 3, colonna a: "x"',
  'COPY t, строка 3, столбец a: "x"',
  'COPY t, rad 3, kolumn a: "x"',
  'COPY t, 行 3, 列 a: "x"',
  'COPY t、行 3、列 a: "x"',
]

describe('the context of an error in a COPY', () => {
  test.each(CONTEXTS)('tells row and column: %s', (where) => {
    const thrown = Object.assign(new Error('no'), { severity: 'ERROR', code: '22P02', where })
    const error = wrapServerError(thrown) as TargetError
    expect(error.code).toBe('TARGET_ROW_REFUSED')
    expect([error.copyLine, error.server.column]).toEqual([3, 'a'])
  })

  test.each([
    ['COPY t, line 3', 3],
    ['COPY t, Zeile 3', 3],
    ['PL/pgSQL-Funktion f() Zeile 3 bei RAISE\nCOPY t, Zeile 7', 7],
    ['PL/pgSQL function f() line 3 at RAISE\nCOPY t, line 7', 7],
    ['COPY e\n"; DROP TABLE victim;\n--, line 5', 5],
    ['COPY a, line 7, line 3', 3],
    ['PL/pgSQL function f() line 3 at RAISE', undefined],
    ['SQL statement "select 1"', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('tells the row: %s', (where, line) => {
    expect(copyLine(where)).toBe(line)
  })
})
