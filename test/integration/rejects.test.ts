import { beforeEach, describe, expect, test } from 'vitest'
import { load, type LoadOptions } from '../../dist/index.js'
import { countMixed, MIXED_TABLE, mixedRows, readRejects } from '../helpers/bad-rows.ts'
import { useDatabase } from '../helpers/database.ts'
import { useTempDir } from '../helpers/temp-dir.ts'

const db = useDatabase()
const dir = useTempDir()
const JOB = 'mixed rows'

beforeEach(async () => {
  await db.query('drop table if exists mixed, modes; drop domain if exists percent')
  await db.query('drop schema if exists millrace cascade')
  await db.query(MIXED_TABLE)
})

describe('rows that cannot be loaded', () => {
  test.each([
    { lanes: 1, chunkSize: 65536 },
    { lanes: 3, chunkSize: 20000 },
  ])(
    'are kept, each once and with its reason, and the others are loaded: $lanes lanes',
    async (how) => {
      const { bytes, good, bad } = mixedRows(8000, (row) => row % 73 === 40)
      const input = await dir.write('mixed.csv', bytes)
      const options: LoadOptions = {
        input,
        to: db.url,
        table: 'mixed',
        job: JOB,
        maxErrors: '5%',
        ...how,
      }
      const summary = await load(options)
      expect(summary.rows).toMatchObject({
        read: 8000,
        loaded: good,
        rejected: bad.length,
        filtered: 0,
      })
      expect(await countMixed(db, JOB)).toEqual({
        rows: good,
        ids: good,
        loaded: good,
        rejected: bad.length,
        read: 8000,
      })
      expect(await readRejects(db, JOB)).toEqual(bad)
      expect((await load(options)).status).toBe('already-complete')
    },
  )
})
