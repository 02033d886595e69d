import type { Result } from '../../chunk/value.ts'
import type { StageCode } from '../../core/errors.ts'
import type { StageContext } from '../stage.ts'

/** A key that is looked up; none of its parts is NULL. */
export interface Key {
  readonly parts: readonly NonNullable<Result>[]
  /** The same for the same texts of the parts only. */
  readonly text: string
}

/** What there is for a key: values in the order of the columns, null for nothing, or why rows that have the key fail. */
export type Found = readonly Result[] | null | Refusal

/** Why rows cannot be given values; without the rows' values. */
export class Refusal {
  readonly code: StageCode
  readonly reason: string

  constructor(code: StageCode, reason: string) {
    this.code = code
    this.reason = reason
  }
}

/** Where values are looked up. */
export interface LookupSource {
  /** A hash of its content, where that is part of a stage's identity. */
  fingerprint?(): Promise<string>
  /** Errors: CONFIG_* for what is not there. */
  open(context: StageContext): Promise<Lookup>
}

/** A source that is open. */
export interface Lookup {
  /** Types of its values, in the order of the columns and as one writes them, where it knows. */
  readonly types?: readonly string[]
  /** What there is for keys, in their order; never asked for none, nor for one key twice. */
  find(keys: readonly Key[]): readonly Found[] | Promise<readonly Found[]>
  close?(): void
}

/** The text of a key, of the texts of its parts; each part's length goes before it, so that no two keys have the same. */
export function keyText(texts: readonly string[]): string {
  if (texts.length === 1) return texts[0]!
  return texts.map((text) => `${String(text.length)} ${text}`).join('')
}
