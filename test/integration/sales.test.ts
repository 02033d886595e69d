import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { useDatabase } from '../helpers/database.ts'
import { runLoad } from '../helpers/loads.ts'

const db = useDatabase()
const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url))

test('an untidy export of sales becomes a table that a report can use', async () => {
  const file = fixture('sales.csv')
  const stages = fixture('sales-stages.ts')
  const { code, report } = await runLoad(db, [file, '--table', 'sales', '--stage', stages])
  expect(report.error).toBeUndefined()
  expect(code).toBe(0)
  expect(report.rows).toMatchObject({ read: 400, loaded: 392, filtered: 8 })
  expect(report.created?.replaceAll(/\s+/g, ' ')).toBe(
    'create table "public"."sales" ( "sale" integer, "sold_on" date, "product" text, "region" text, ' +
      '"quantity" int, "price" numeric(10,2), "cost" numeric(10,2), "total" numeric(12,2), "profit" numeric(12,2), ' +
      '"season" text, "category" text )',
  )

  // The same worked out by PostgreSQL from the fields as they are in the file.
  await db.query(
    'create table raw (sale text, sold text, product text, region text, quantity text, price text, cost text)',
  )
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n').slice(1)
  await db.query(
    'insert into raw select * from jsonb_to_recordset($1) as r(sale text, sold text, product text, region text, quantity text, price text, cost text)',
    [
      JSON.stringify(
        lines.map((line) => {
          const [sale, sold, product, region, quantity, price, cost] = line.split(';')
          return { sale, sold, product, region, quantity, price, cost }
        }),
      ),
    ],
  )
  const differences = await db.query(`
    with clean as (
      select sale::int, to_date(sold, 'DD/MM/YYYY') as sold_on, upper(trim(product)) as product,
             upper(trim(region)) as region, quantity::int, replace(price, ',', '.')::numeric(10,2) as price,
             replace(cost, ',', '.')::numeric(10,2) as cost
        from raw where quantity <> 'n/a'),
    expected as (
      select *, (quantity * price)::numeric(12,2) as total, (quantity * (price - cost))::numeric(12,2) as profit,
             (array['winter', 'spring', 'summer', 'autumn'])[1 + (extract(month from sold_on)::int % 12) / 3] as season,
             case when quantity * price < 100 then 'small' when quantity * price < 500 then 'medium' else 'large' end as category
        from clean)
    (select * from expected except select * from sales) union all (select * from sales except select * from expected)`)
  expect(differences).toEqual([])
  expect(await db.query('select distinct category from sales order by 1')).toHaveLength(3)
  expect(await db.query('select distinct season from sales')).toHaveLength(4)
})
