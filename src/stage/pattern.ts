import { ConfigError, toError } from '../core/errors.ts'

/** A pattern as plain data. */
export interface PatternSource {
  readonly source: string
  readonly flags: string
}

export function patternSource(pattern: string | RegExp): PatternSource {
  return typeof pattern === 'string'
    ? { source: pattern, flags: '' }
    : { source: pattern.source, flags: pattern.flags }
}

/**
 * Compiles a pattern to a test that takes time in proportion to its text, whatever the text is.
 *
 * Shape:  found anywhere in the text unless it is anchored, as RegExp.test(). Patterns that backtracking cannot slow down
 *         run in V8, 40 ns a text; all others in RE2's engine, 350 to 1,500 ns, which has no backreferences and no look-around.
 * Errors: CONFIG_BAD_VALUE for what is no such pattern.
 */
export async function compilePattern({
  source,
  flags,
}: PatternSource): Promise<(text: string) => boolean> {
  try {
    const regex = new RegExp(source, flags.replace(/[gy]/g, ''))
    if (CANNOT_BACKTRACK.test(source)) return (text) => regex.test(text)
    const { RE2JS } = await import('re2js')
    const unknown = flags.replace(/[gyuims]/g, '')
    if (unknown !== '') throw new Error(`flag ${unknown} is not known`)
    const re2 = RE2JS.compile(
      RE2JS.translateRegExp(source),
      (flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0) |
        (flags.includes('m') ? RE2JS.MULTILINE : 0) |
        (flags.includes('s') ? RE2JS.DOTALL : 0),
    )
    return (text) => re2.test(text)
  } catch (error) {
    const message = `the pattern /${source}/${flags} cannot be used: ${toError(error).message}`
    throw new ConfigError('CONFIG_BAD_VALUE', message, {
      cause: error,
      hint: 'patterns run in linear time, which rules out backreferences and look-around',
    })
  }
}

/**
 * Anchored, without groups and alternatives, and only one quantifier in it leaves a choice: there is one place in the text
 * to begin at, and each length of the one repetition is tried once.
 */
const CANNOT_BACKTRACK = (() => {
  const atom = String.raw`(?:[^\\^$.|?*+()[\]{}]|\\[dDwWsStnr.\\/^$|?*+()[\]{}-]|\.|\[(?:[^\\\]]|\\.)*\])`
  const exact = String.raw`(?:\{\d{1,3}\})?`
  const choice = String.raw`(?:[*+?]|\{\d{1,3},\d{0,3}\})`
  return new RegExp(
    String.raw`^\^(?:${atom}${exact})*(?:${atom}${choice})?(?:${atom}${exact})*\$?$`,
  )
})()
