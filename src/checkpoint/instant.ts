/**
 * SQL that gives a time as text.
 *
 * Why: what pg makes of a timestamptz is up to the parsers that the caller has set, for a pool or for all of the process.
 */
export function instantSql(time: string): string {
  return `floor(extract(epoch from ${time}) * 1000.0)::bigint::text`
}

/** The time that instantSql() has given. */
export function instantOf(milliseconds: string): Date {
  return new Date(Number(milliseconds))
}
