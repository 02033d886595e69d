import type { RejectReason } from '../core/errors.ts'
import type { Finding } from '../stage/quality/finding.ts'
import type { StageStats } from '../stage/stage-list.ts'
import { resourceUsage } from 'node:process'

export interface RowCounts {
  /** Records that were read. read + added = loaded + rejected + filtered + unchanged, always. */
  readonly read: number
  readonly loaded: number
  readonly rejected: number
  /** Records left out on purpose: by stages; blank lines, where the dialect skips them. */
  readonly filtered: number
  /** Rows that stages made of a record, beyond the first. */
  readonly added: number
  readonly unchanged: number
}

/** What came of a run: also what `--json` prints. */
export interface Summary {
  /** 0 where the input is missing: no run was begun. */
  readonly run: number
  readonly job: string
  readonly status: 'complete' | 'already-complete' | 'missing' | 'failed' | 'interrupted'
  /** `schema.table`; as far as it is known where the input is missing. */
  readonly target: string
  readonly mode: 'append'
  /** Whether the rows of the job, `resumed` among them, came into the table all at once, when it was complete. */
  readonly atomic: boolean
  /** Of this run. */
  readonly rows: RowCounts
  /** Of this run. */
  readonly bytes: number
  readonly chunks: number
  readonly seconds: number
  readonly rowsPerSecond: number
  /** Millions of bytes of input per second. */
  readonly mbPerSecond: number
  readonly peakRssBytes: number
  readonly lanes: number
  /** What each stage has done in this run, in its order. */
  readonly stages: readonly StageStats[]
  /** What the rules of quality() have come to; nothing for a job that was complete before. */
  readonly quality: readonly Finding[]
  /** Why rows of the input were rejected, by this run and those before it: the most common reasons. */
  readonly rejects: readonly RejectReason[]
  /** What earlier runs had loaded. */
  readonly resumed: { readonly rows: number; readonly bytes: number }
  readonly inputs: readonly {
    readonly path: string
    readonly rows: number
    readonly bytes: number
  }[]
  /** The DDL of the table, when this run has created it. */
  readonly created: string | null
  /** When the job was completed, for 'already-complete'. */
  readonly completedAt: string | null
}

/** The highest resident set of the process so far, in bytes. */
export function peakRss(): number {
  return resourceUsage().maxRSS * 1024
}
