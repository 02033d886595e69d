import { type Client, escapeLiteral } from 'pg'
import type { BlockPool } from '../copy/block-pool.ts'
import type { CopyPart } from '../copy/encode-chunk.ts'
import { quoteIdentifier, quoteTable } from '../core/identifier.ts'
import { CopyIn } from './copy-in.ts'
import { copyParts, type CopyTarget } from './copy-parts.ts'

/** What the server says of a row that it does not take. */
export interface Refusal {
  /** Among the rows that were given, from 0. */
  readonly row: number
  readonly sqlstate: string
  readonly column: string | null
  readonly constraint: string | null
  /** With values of the row. */
  readonly message: string
}

/**
 * Rows that are inserted this many at a time while none is refused, then one by one until one is taken.
 *
 * Why: of 62,000 rows, 1 % of them bad, under a primary key, a foreign key and a check, so many took 1.2 s and left dead
 *      tuples of 6 %; one by one 2.8 s and 0.4 %; 4 at a time 1.4 s and 3 %; 16 at a time 1.5 s and 12 %.
 */
const MOST_AT_ONCE = 4

/** Classes of SQLSTATE that are about a row: data, constraints, WITH CHECK OPTION, what triggers and functions raise. */
export const ROW_CLASSES: readonly string[] = ['22', '23', '44', 'P0', '38', '39']

/**
 * Inserts rows of which some may be refused, in the open transaction: each is taken, or the server has said why not.
 *
 * Shape:  the parts are COPY text of all columns of the target, every row of them.
 * Why:    the rows lie in a temporary table, and a block of PL/pgSQL inserts them within subtransactions: 70 us a refused
 *         row. A COPY of its own behind a savepoint takes 570, most of it going to and fro.
 * Errors: what is about no row: TARGET_*.
 */
export async function insertSuspects(
  client: Client,
  target: CopyTarget,
  parts: AsyncIterable<CopyPart>,
  pool: BlockPool,
): Promise<Refusal[]> {
  const columns = await columnsOf(client, target)
  const texts = columns.map(({ text }) => text)
  await client.query(
    `create temp table ${SUSPECTS} (n int generated always as identity, ${texts.map((c) => `${c} text`).join(', ')},
       primary key (n)) on commit drop;
     create temp table ${REFUSALS} (n int, state text, message text, column_name text, constraint_name text) on commit drop`,
  )
  const begin = async (): Promise<CopyIn> => {
    const copy = new CopyIn(`copy ${SUSPECTS} (${texts.join(', ')}) from stdin`)
    await copy.begin(client)
    return copy
  }
  await copyParts(parts, pool, begin)
  await client.query(insertBlock(target, columns))
  const found = await client.query<RefusalRow>(
    `select n - 1 as row, state, message, nullif(column_name, '') as column_name,
            nullif(constraint_name, '') as constraint_name from ${REFUSALS} order by n`,
  )
  await client.query(`drop table ${SUSPECTS}, ${REFUSALS}`)
  return found.rows.map((row) => ({
    row: row.row,
    sqlstate: row.state,
    column: row.column_name,
    constraint: row.constraint_name,
    message: row.message,
  }))
}

interface RefusalRow {
  row: number
  state: string
  message: string
  column_name: string | null
  constraint_name: string | null
}

const SUSPECTS = 'pg_temp.millrace_suspect'
const REFUSALS = 'pg_temp.millrace_refusal'

/** A column of the target, and that of the temporary table that has its text. */
interface SuspectColumn {
  readonly name: string
  readonly text: string
  /** As it is declared, and without its modifiers: a cast to varchar(3) would cut a text off in silence. */
  readonly declared: string
  readonly plain: string
}

async function columnsOf(client: Client, { table, columns }: CopyTarget): Promise<SuspectColumn[]> {
  const found = await client.query<{ name: string; declared: string; plain: string }>(
    `select attname::text as name, format_type(atttypid, atttypmod) as declared, format_type(atttypid, -1) as plain
       from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`,
    [quoteTable(table)],
  )
  const byName = new Map(found.rows.map((row) => [row.name, row]))
  return columns.map((name, i) => {
    const { declared, plain } = byName.get(name) ?? { declared: 'text', plain: 'text' }
    return { name, text: `c${String(i)}`, declared, plain }
  })
}

/** Only what is about a row is caught; a deadlock, a full disk and the like are thrown on. */
function insertBlock({ table }: CopyTarget, columns: readonly SuspectColumn[]): string {
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const values = columns.map(({ text, plain }) => `${text}::${plain}`).join(', ')
  const classes = ROW_CLASSES.map((one) => `'${one}'`).join(', ')
  return doBlock(`
declare
  next int;
  last int;
  many int := 1;
  state text; says text; of_column text; of_constraint text;
begin
  set constraints all immediate;
  select min(n), max(n) into next, last from ${SUSPECTS};
  while next <= last loop
    begin
      insert into ${quoteTable(table)} (${names}) overriding system value
        select ${values} from ${SUSPECTS} where n between next and next + many - 1 order by n;
      next := next + many;
      many := least(many * 2, ${String(MOST_AT_ONCE)});
    exception when others then
      get stacked diagnostics state = returned_sqlstate, says = message_text,
        of_column = column_name, of_constraint = constraint_name;
      if left(state, 2) not in (${classes}) then
        raise;
      end if;
      if many > 1 then
        many := 1;
      else
        ${columns.map(findColumn).join('')}
        insert into ${REFUSALS} values (next, state, says, of_column, of_constraint);
        next := next + 1;
      end if;
    end;
  end loop;
end`)
}

/** An INSERT does not say whose value is none of its type, or too long: assigning each does. */
function findColumn({ name, text, declared }: SuspectColumn): string {
  return `
        if of_column = '' and left(state, 2) = '22' then
          declare value ${declared};
          begin
            select ${text} into value from ${SUSPECTS} where n = next;
          exception when others then
            of_column := ${escapeLiteral(name)};
          end;
        end if;`
}

/** The tag is one that nothing of the block has. */
function doBlock(block: string): string {
  let tag = '$millrace$'
  for (let i = 0; block.includes(tag); i++) tag = `$millrace${String(i)}$`
  return `do ${tag}${block}${tag}`
}
