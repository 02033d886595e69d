/** A type as one writes it or by its name in pg_catalog, without its modifiers: `Numeric(9, 2)` is `numeric`. */
export function plainTypeName(type: string): string {
  return type
    .toLowerCase()
    .replace(/\s*\([^)]*\)/, '')
    .trim()
}
