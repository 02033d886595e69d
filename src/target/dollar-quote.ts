/** Quotes the body of a function or block for SQL; the tag is one that nothing of it has. */
export function dollarQuote(body: string): string {
  let tag = '$millrace$'
  for (let i = 0; body.includes(tag); i++) tag = `$millrace${String(i)}$`
  return `${tag}${body}${tag}`
}
