import type { Client } from 'pg'
import { CheckpointError, TargetError, toError } from '../core/errors.ts'
import { quoteIdentifier } from '../core/identifier.ts'
import { crashMarkDdl } from './crash-mark.ts'
import { inTransaction } from './transaction.ts'

/** Raised with every change of the tables below. */
const VERSION = 6

/** What makes a schema of the version before one of this version. */
const UPGRADES: Readonly<Record<number, (schema: string) => string>> = {
  2: (schema) => `alter table ${schema}.claim add column added bigint not null default 0`,
  3: (schema) => `alter table ${schema}.claim add column facts jsonb`,
  4: rejectDdl,
  // A schema of version 3 has its rejects made as they are now.
  5: (schema) => `
    alter table ${schema}.reject add column if not exists part int[],
      add column if not exists replayed_at timestamptz, add column if not exists replayed_by bigint,
      add column if not exists replayed_rows bigint;
    alter table ${schema}.run add column kind text not null default 'load'`,
  6: crashMarkDdl,
}

/**
 * Creates the state schema on first use.
 *
 * Errors: CHECKPOINT_SCHEMA when a newer Millrace has written it.
 */
export async function prepareState(client: Client, schema: string): Promise<void> {
  if (!(await exists(client, schema))) await create(client, schema)
  const version = await versionOf(client, schema)
  if (version < VERSION) await upgrade(client, schema)
  if (version > VERSION) {
    const message = `the state schema ${schema} has version ${String(version)}, this Millrace knows ${String(VERSION)}`
    throw new CheckpointError('CHECKPOINT_SCHEMA', message, {
      hint: 'use the Millrace that wrote it, or another schema with --state-schema',
    })
  }
}

async function versionOf(client: Client, schema: string): Promise<number> {
  const found = await client.query<{ version: number }>(
    `select version from ${quoteIdentifier(schema)}.version`,
  )
  return found.rows[0]?.version ?? NaN
}

/** Brings a schema of an older version to this one. */
async function upgrade(client: Client, schema: string): Promise<void> {
  const name = quoteIdentifier(schema)
  await inTransaction(client, async () => {
    await client.query(`lock table ${name}.version in exclusive mode`)
    for (let next = (await versionOf(client, schema)) + 1; next <= VERSION; next++) {
      await client.query(UPGRADES[next]!(name))
      await client.query(`update ${name}.version set version = ${String(next)}`)
    }
  })
}

/** Whether the state schema is there: asking is allowed to everyone, creating is not. */
export async function exists(client: Client, schema: string): Promise<boolean> {
  const found = await client.query<{ found: boolean }>(
    `select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relname = 'version') as found`,
    [schema],
  )
  return found.rows[0]?.found === true
}

async function create(client: Client, schema: string): Promise<void> {
  await inTransaction(client, async () => {
    // Two first runs at once: `create schema if not exists` alone fails with a duplicate key for one of them.
    await client.query(
      `select pg_advisory_xact_lock(pg_catalog.hashtextextended('millrace ' || $1::text, 0::int8))`,
      [schema],
    )
    if (await exists(client, schema)) return
    await createSchema(client, schema)
    const name = quoteIdentifier(schema)
    await client.query(`${ddl(name)}; revoke all on all tables in schema ${name} from public`)
  })
}

/**
 * Creates the schema where it is not there: its owner may have made it for a role that may create none.
 *
 * Why: `create schema if not exists` wants the right to create one even when it is there.
 */
async function createSchema(client: Client, schema: string): Promise<void> {
  const found = await client.query('select from pg_namespace where nspname = $1', [schema])
  if (found.rowCount !== 0) return
  const create = `create schema ${quoteIdentifier(schema)}`
  try {
    await client.query(create)
  } catch (error) {
    const { code, message } = toError(error) as Error & { code?: string }
    if (code !== '42501') throw error
    throw new TargetError('TARGET_REFUSED', `the checkpoint has no schema: ${message}`, {
      server: { sqlstate: code },
      cause: error,
      hint: `have it made by who may: ${create} authorization ...; or name one that is there with --state-schema`,
    })
  }
}

function ddl(schema: string): string {
  return `
create table ${schema}.version (version int not null);
insert into ${schema}.version values (${String(VERSION)});

create table ${schema}.job (
  id bigint generated always as identity primary key,
  key text not null unique,
  epoch bigint not null default 0,
  target jsonb,
  options jsonb,
  created_at timestamptz not null default now()
);
comment on column ${schema}.job.epoch is 'raised by each run; a chunk commits only under the epoch of its run';

create table ${schema}.run (
  id bigint generated always as identity primary key,
  job bigint not null references ${schema}.job on delete cascade,
  epoch bigint not null,
  kind text not null default 'load',
  status text not null default 'running',
  backend int not null,
  backend_start timestamptz not null,
  heartbeat_at timestamptz not null default clock_timestamp(),
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  millrace text not null,
  error text
);
create index on ${schema}.run (job, epoch);
comment on column ${schema}.run.kind is 'load, or replay of rejects';

create table ${schema}.input (
  id bigint generated always as identity primary key,
  job bigint not null references ${schema}.job on delete cascade,
  path text not null,
  identity jsonb not null,
  size bigint,
  completed_at timestamptz,
  unique (job, path)
);
comment on column ${schema}.input.size is 'bytes; null for a stream that was not read to its end yet';

create table ${schema}.claim (
  job bigint not null references ${schema}.job on delete cascade,
  input bigint not null references ${schema}.input on delete cascade,
  start_byte bigint not null,
  end_byte bigint not null check (end_byte > start_byte),
  first_record bigint not null,
  first_line bigint not null,
  lines bigint not null,
  read bigint not null,
  loaded bigint not null,
  rejected bigint not null default 0,
  filtered bigint not null default 0,
  added bigint not null default 0,
  checksum bigint not null,
  facts jsonb,
  run bigint not null,
  committed_at timestamptz not null default clock_timestamp(),
  primary key (job, input, start_byte)
);
comment on table ${schema}.claim is 'a range of an input, committed together with its rows';
comment on column ${schema}.claim.added is 'rows that stages made of a record beyond the first: read + added = loaded + rejected + filtered';
comment on column ${schema}.claim.checksum is 'CRC-32 of the bytes of the range';
comment on column ${schema}.claim.facts is 'what stages have found out about the rows, by stage';
${rejectDdl(schema)}
${crashMarkDdl(schema)}`
}

function rejectDdl(schema: string): string {
  return `
create table ${schema}.reject (
  id bigint generated always as identity primary key,
  job bigint not null references ${schema}.job on delete cascade,
  input bigint not null references ${schema}.input on delete cascade,
  start_byte bigint not null,
  run bigint not null,
  record bigint not null,
  line bigint not null,
  byte bigint not null,
  part int[],
  raw bytea not null,
  column_name text,
  code text not null,
  constraint_name text,
  message text not null,
  stage text,
  rejected_at timestamptz not null default clock_timestamp(),
  replayed_at timestamptz,
  replayed_by bigint,
  replayed_rows bigint
);
create index on ${schema}.reject (job, input, byte);
comment on table ${schema}.reject is 'a row that was kept out of the table, committed together with its claim';
comment on column ${schema}.reject.start_byte is 'of the claim';
comment on column ${schema}.reject.run is 'that rejected it last';
comment on column ${schema}.reject.part is 'which of the rows that stages made of the record, by each such stage, from 0; null for the record as a whole';
comment on column ${schema}.reject.replayed_at is 'null while it is kept out of the table';
comment on column ${schema}.reject.replayed_by is 'a run';
comment on column ${schema}.reject.replayed_rows is 'rows of it that were loaded then; 0 where stages left it out';
comment on column ${schema}.reject.raw is 'the bytes of its record, without the line end';
comment on column ${schema}.reject.code is 'SQLSTATE, or a code of Millrace';
-- Default privileges may say otherwise; it holds data of the rows.
revoke all on ${schema}.reject from public;`
}
