import { describe, expect, test } from 'vitest'
import { runCli } from '../helpers/cli.ts'
import { useDatabase } from '../helpers/database.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()

describe('load', () => {
  test('creates the table with inferred types and loads every row', async () => {
    const file = await dir.write(
      'people.csv',
      'id,name,born\n1,Ann,1990-01-02\n2,"B, b",\n3,"",1991-03-04\n',
    )
    const run = await runCli(['load', file, '--to', db.url, '--json'])
    expect(run.stderr).toBe('')
    expect(run.code).toBe(0)
    const summary = JSON.parse(run.stdout) as { rows: unknown; status: string }
    expect(summary.status).toBe('complete')
    expect(summary.rows).toEqual({
      read: 3,
      loaded: 3,
      rejected: 0,
      added: 0,
      filtered: 0,
      unchanged: 0,
    })
    expect(await db.query('select id, name, born::text from people order by id')).toEqual([
      { id: 1, name: 'Ann', born: '1990-01-02' },
      { id: 2, name: 'B, b', born: null },
      { id: 3, name: '', born: '1991-03-04' },
    ])
  })
})
