/**
 * Copies a raw CSV field to `out`, without the quotes that only delimit.
 *
 * Shape:  a quote toggles "in quotes" wherever it stands; a doubled quote inside quotes is one quote.
 *         Returns the offset after the last byte written; never more bytes than the field has.
 * Source: CopyReadAttributesCSV in PostgreSQL's copyfromparse.c.
 */
export function unquote(
  bytes: Uint8Array,
  from: number,
  to: number,
  quote: number,
  out: Uint8Array,
  at: number,
): number {
  let inside = false
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    if (byte !== quote) out[at++] = byte
    else if (inside && i + 1 < to && bytes[i + 1] === quote) {
      out[at++] = quote
      i++
    } else inside = !inside
  }
  return at
}
