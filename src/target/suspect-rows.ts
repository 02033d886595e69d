import { type Client, escapeLiteral } from 'pg'
import type { BlockPool } from '../copy/block-pool.ts'
import type { CopyPart } from '../copy/encode-chunk.ts'
import { TargetError } from '../core/errors.ts'
import { quoteIdentifier, quoteTable } from '../core/identifier.ts'
import { CopyIn } from './copy-in.ts'
import { copyParts, type CopyTarget, rowsDropped } from './copy-parts.ts'
import { dollarQuote } from './dollar-quote.ts'
import { wrapServerError } from './server-error.ts'

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

/** Classes of SQLSTATE that are about a row: data, constraints, WITH CHECK OPTION, limits, what triggers and functions raise. */
const ROW_CLASSES = ['22', '23', '44', '45', '54', 'P0', '38', '39']
/** What some types say of their text: jsonpath, tsquery. */
const ROW_STATES = ['42601']
/** Rows that were inserted, and are not there. */
const DROPPED = 'MR001'

/** Whether a SQLSTATE is about a row, not about the whole of what the server was asked. */
export function isRowState(sqlstate: string): boolean {
  return ROW_CLASSES.includes(sqlstate.slice(0, 2)) || ROW_STATES.includes(sqlstate)
}

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
  await createTemporary(
    client,
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
  try {
    await client.query(insertBlock(target, columns))
  } catch (thrown) {
    const error = wrapServerError(thrown)
    const isDropped = error instanceof TargetError && error.server.sqlstate === DROPPED
    throw isDropped ? rowsDropped() : error
  }
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

/** Errors: TARGET_REFUSED, naming the right that is wanted where that is the reason. */
async function createTemporary(client: Client, sql: string): Promise<void> {
  try {
    await client.query(sql)
  } catch (thrown) {
    const error = wrapServerError(thrown)
    if (!(error instanceof TargetError) || error.server.sqlstate !== '42501') throw error
    throw new TargetError('TARGET_REFUSED', error.message, {
      server: error.server,
      cause: error,
      hint: 'rows that the server may refuse go through a temporary table: grant temporary on database ... to the role; or stop at the first bad row with --max-errors 0',
    })
  }
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

/** A column of the target. */
interface SuspectColumn {
  readonly name: string
  /** That of the temporary table, which has its text. */
  readonly text: string
  /** The text as a value, read as COPY reads it. */
  readonly read: string
}

/**
 * Why not a cast: one to varchar(3) cuts a text off in silence, one to a domain over it too, and `10` is ten seconds for a
 * cast to an interval of hours. The type's own input function does what it does in COPY; where it is one of many types
 * (arrays, enums, ranges) a cast comes to the same.
 */
async function columnsOf(client: Client, { table, columns }: CopyTarget): Promise<SuspectColumn[]> {
  const found = await client.query<ColumnRow>(COLUMNS, [quoteTable(table)])
  const byName = new Map(found.rows.map((row) => [row.name, row]))
  return columns.map((name, i) => {
    const text = `c${String(i)}`
    const column = byName.get(name)
    if (column === undefined) return { name, text, read: text }
    const { input, args, element, modifier, plain } = column
    const more = args > 1 ? `, ${element}::oid, ${String(modifier)}` : ''
    const read =
      input === null ? `${text}::${plain}` : `${input}(pg_catalog.textout(${text})${more})`
    return { name, text, read }
  })
}

interface ColumnRow {
  name: string
  /** The input function; null where it is one of many types. */
  input: string | null
  args: number
  element: string
  modifier: number
  plain: string
}

/** Of a domain, what it stands on: the domain itself is seen to when the value is assigned. */
const COLUMNS = `
  with recursive base(name, typid, modifier) as (
    select attname::text, atttypid, atttypmod from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped
    union all
    select base.name, t.typbasetype, t.typtypmod from base join pg_type t on t.oid = base.typid where t.typtype = 'd')
  select base.name, p.pronargs as args, base.modifier, format_type(t.oid, -1) as plain,
         (case when t.typelem <> 0 then t.typelem else t.oid end)::text as element,
         case when r.typtype <> 'p' then pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) end as input
    from base join pg_type t on t.oid = base.typid and t.typtype <> 'd'
    join pg_proc p on p.oid = t.typinput join pg_namespace n on n.oid = p.pronamespace
    join pg_type r on r.oid = p.prorettype`

/** Only what is about a row is caught; a deadlock, a full disk and the like are thrown on. */
function insertBlock({ table }: CopyTarget, columns: readonly SuspectColumn[]): string {
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const values = columns.map(({ read }) => read).join(', ')
  const list = (words: readonly string[]): string => words.map((one) => `'${one}'`).join(', ')
  const insert = (rows: string): string => `
      insert into ${quoteTable(table)} (${names}) overriding system value
        select ${values} from ${SUSPECTS} where ${rows} order by n;
      get diagnostics taken = row_count;`
  return `do ${dollarQuote(`
declare
  next int;
  last int;
  until int;
  many int := 1;
  taken int;
  again boolean := exists (select from pg_constraint
    where conrelid = ${escapeLiteral(quoteTable(table))}::regclass and confrelid = conrelid);
  refused record;
  state text; says text; of_column text; of_constraint text;
begin
  set constraints all immediate;
  select min(n), max(n) into next, last from ${SUSPECTS};
  while next <= last loop
    until := least(next + many - 1, last);
    begin
      ${insert('n between next and until')}
      if taken <> until - next + 1 then
        raise exception 'rows were dropped' using errcode = '${DROPPED}';
      end if;
      next := until + 1;
      many := least(many * 2, ${String(MOST_AT_ONCE)});
    exception when others then
      get stacked diagnostics state = returned_sqlstate, says = message_text,
        of_column = column_name, of_constraint = constraint_name;
      if left(state, 2) not in (${list(ROW_CLASSES)}) and state not in (${list(ROW_STATES)}) then
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
  -- A row may refer to one that came behind it.
  while again loop
    again := false;
    for refused in select n from ${REFUSALS} r where r.state = '23503' order by n loop
      begin
        ${insert('n = refused.n')}
        delete from ${REFUSALS} where n = refused.n;
        again := true;
      exception when foreign_key_violation then
        null;
      end;
    end loop;
  end loop;
end`)}`
}

/** An INSERT does not say whose value is none of its type: reading each does. */
function findColumn({ name, read }: SuspectColumn): string {
  return `
        if of_column = '' and left(state, 2) = '22' then
          begin
            perform ${read} from ${SUSPECTS} where n = next;
          exception when others then
            of_column := ${escapeLiteral(name)};
          end;
        end if;`
}
