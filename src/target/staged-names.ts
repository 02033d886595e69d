import { TargetError } from '../core/errors.ts'
import type { CopyTarget, StagedFor } from './copy-parts.ts'
import type { Refusal } from './suspect-rows.ts'

/** A refused row of a staging table, as the table it stands for would have refused it. */
export function asAtTarget(refusal: Refusal, { staged }: CopyTarget): Refusal {
  if (staged === undefined) return refusal
  const { constraint, message } = refusal
  return {
    ...refusal,
    constraint: constraint === null ? null : nameOf(constraint, staged),
    message: textOf(message, staged),
  }
}

/** What the server says of a row of a staging table, as it would say it of the table that it stands for. */
export function errorAtTarget(error: TargetError, { staged }: CopyTarget): TargetError {
  if (staged === undefined) return error
  const { constraint, table } = error.server
  const server = {
    ...error.server,
    ...(constraint === undefined ? {} : { constraint: nameOf(constraint, staged) }),
    ...(table === undefined ? {} : { table: nameOf(table, staged) }),
  }
  return new TargetError(error.code, textOf(error.message, staged), { server, cause: error })
}

function nameOf(name: string, { names }: StagedFor): string {
  return Object.hasOwn(names, name) ? names[name]! : name
}

function textOf(text: string, staged: StagedFor): string {
  return text.replace(/"([^"]+)"/g, (_, name: string) => `"${nameOf(name, staged)}"`)
}
