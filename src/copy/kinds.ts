/**
 * How a column's text becomes COPY binary. A number, since the row loop switches on it for every field.
 * A column of any other type goes as COPY text, and the server's own input function reads it.
 */
export const Kind = {
  server: 0,
  text: 1,
  int4: 2,
  int8: 3,
  numeric: 4,
  date: 5,
  timestamp: 6,
  timestamptz: 7,
  float8: 8,
  float4: 9,
  int2: 10,
  bool: 11,
  uuid: 12,
  time: 13,
  jsonb: 14,
  bytea: 15,
  name: 16,
  char: 17,
  /** As text; arrays and objects that stages give are JSON in it. */
  json: 18,
} as const

export type Kind = (typeof Kind)[keyof typeof Kind]

/** By the base type's name in pg_catalog; a domain is encoded as its base type, an enum as text. */
const byTypeName: Readonly<Record<string, Kind>> = {
  text: Kind.text,
  varchar: Kind.text,
  bpchar: Kind.text,
  json: Kind.json,
  int2: Kind.int2,
  int4: Kind.int4,
  int8: Kind.int8,
  numeric: Kind.numeric,
  float4: Kind.float4,
  float8: Kind.float8,
  bool: Kind.bool,
  date: Kind.date,
  time: Kind.time,
  timestamp: Kind.timestamp,
  timestamptz: Kind.timestamptz,
  uuid: Kind.uuid,
  jsonb: Kind.jsonb,
  bytea: Kind.bytea,
  name: Kind.name,
  char: Kind.char,
}

/** The kind of a base type: its name in pg_catalog, or 'enum'. */
export function kindOf(typeName: string): Kind {
  return typeName === 'enum' ? Kind.text : (byTypeName[typeName] ?? Kind.server)
}

/** The number by which the kernel knows a kind: json is the text that it is. */
export function kernelKind(kind: number): number {
  return kind === Kind.json ? Kind.text : kind
}
