/**
 * The value of a column in one row, as stages see it; NULL is null. The column's type in PostgreSQL decides:
 *
 * - int2, int4, float4, float8: number
 * - int8: bigint
 * - bool: boolean
 * - bytea: Uint8Array
 * - all others, numeric, dates and times, uuid and json among them: string, the text of the input
 *
 * Why: nothing is lost. A numeric has more digits than a double, a timestamp has microseconds and a Date has not, and
 *      JSON.parse() rounds numbers. `Number(row.price)` or `new Date(row.at)` is for the stage to decide.
 */
export type Value = null | string | number | bigint | boolean | Uint8Array

/**
 * What a stage may give a column: a Value, a Date for date, timestamp and timestamptz, an array for an array or json
 * column, an object for json; undefined is NULL. It is stored as PostgreSQL reads the text of it, so '12' does for an
 * int4 as well.
 */
export type Result =
  Value | undefined | Date | readonly unknown[] | Readonly<Record<string, unknown>>

/** The values of a row by column. */
export type Row = Readonly<Record<string, Value>>

interface OtherThanText {
  smallint: number
  int2: number
  int: number
  integer: number
  int4: number
  bigint: bigint
  int8: bigint
  real: number
  float4: number
  float8: number
  'double precision': number
  bool: boolean
  boolean: boolean
  bytea: Uint8Array
}

/** The type of the values of a column, by the name of its type in PostgreSQL. */
export type ValueOf<Type extends string> = Type extends keyof OtherThanText
  ? OtherThanText[Type]
  : string

/** The rows of columns whose types are known, as in `{ id: 'int8', fare: 'numeric' }`. */
export type RowOf<Types extends Readonly<Record<string, string>>> = {
  readonly [Name in keyof Types]: ValueOf<Types[Name]> | null
}
