import type { Command } from 'commander'
import { rename, select, type StageOption, where } from '../index.ts'
import { option } from './dialect-options.ts'
import { parseList, parseRenames } from './units.ts'

/** The options that say what rows pass through. */
export interface StageOptions {
  readonly where?: string[]
  readonly select?: string[]
  readonly rename?: Record<string, string>
  readonly stage?: string[]
}

export function addStageOptions(command: Command): Command {
  return command
    .addOption(
      option(
        '--where <condition>',
        "load only rows for which it holds, as 'fare >= 10'; repeatable",
      ).argParser(collect),
    )
    .addOption(
      option('--select <columns>', 'load only these columns of the input: a,b').argParser(
        parseList,
      ),
    )
    .addOption(
      option('--rename <list>', 'other names for columns of the input: old=new,...').argParser(
        parseRenames,
      ),
    )
    .addOption(
      option(
        '--stage <file>',
        'TypeScript or JavaScript module with stages that rows pass through; repeatable',
      ).argParser(collect),
    )
}

/** The short forms first, on the columns of the input; then the modules, in the order given. */
export function stagesOf(flags: StageOptions): StageOption[] {
  return [
    ...(flags.where ?? []).map((condition) => where(condition)),
    ...(flags.select === undefined ? [] : [select(flags.select)]),
    ...(flags.rename === undefined ? [] : [rename(flags.rename)]),
    ...(flags.stage ?? []),
  ]
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}
