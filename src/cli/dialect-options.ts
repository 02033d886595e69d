import { type Command, Option } from 'commander'
import type { CsvDialect } from '../index.ts'
import { parseCharacters, parseList } from './units.ts'

/** The options that say how a CSV file is written. What is not said is found out. */
export interface DialectOptions {
  readonly delimiter?: string
  readonly quote?: string
  readonly escape?: string
  readonly null?: string
  readonly header?: boolean
  readonly comment?: string
  readonly skipEmptyLines?: boolean
  readonly columns?: string[]
}

/** An option that is also read from the environment, as MILLRACE_<OPTION>. */
export function option(flags: string, description: string): Option {
  const long = /--(?:no-)?([a-z-]+)/.exec(flags)?.[1] ?? ''
  return new Option(flags, description).env(`MILLRACE_${long.toUpperCase().replaceAll('-', '_')}`)
}

export function addDialectOptions(command: Command): Command {
  return command
    .addOption(
      option('--delimiter <text>', 'between fields; found out (, ; \\t |)').argParser(
        parseCharacters,
      ),
    )
    .addOption(
      option('--quote <character>', 'around fields (default: ")').argParser(parseCharacters),
    )
    .addOption(
      option('--escape <character>', 'before a quote within quotes (default: the quote)').argParser(
        parseCharacters,
      ),
    )
    .addOption(option('--null <text>', 'an unquoted field with this text is NULL (default: empty)'))
    .addOption(option('--header', 'the first record names the columns; found out'))
    .addOption(new Option('--no-header', 'the first record is data'))
    .addOption(option('--columns <names>', 'names of the fields: a,b,"c,d"').argParser(parseList))
    .addOption(option('--comment <text>', 'lines that begin with this are skipped'))
    .addOption(option('--skip-empty-lines', 'blank lines are skipped, not read as rows'))
}

export function dialectOf(options: DialectOptions): Partial<CsvDialect> {
  return {
    ...(options.delimiter === undefined ? {} : { delimiter: options.delimiter }),
    ...(options.quote === undefined ? {} : { quote: options.quote }),
    ...(options.escape === undefined ? {} : { escape: options.escape }),
    ...(options.null === undefined ? {} : { nullText: options.null }),
    ...(options.header === undefined ? {} : { header: options.header }),
    ...(options.comment === undefined ? {} : { comment: options.comment }),
    ...(options.skipEmptyLines === true ? { emptyLines: 'skip' as const } : {}),
  }
}
