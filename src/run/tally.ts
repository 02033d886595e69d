import type { RejectReason } from '../core/errors.ts'
import type { Finding } from '../stage/quality/finding.ts'
import { addStats, type StageStats } from '../stage/stage-list.ts'
import type { Claim } from '../checkpoint/claims.ts'
import type { LoadedRange } from './lanes/lanes.ts'
import type { PreparedJob } from './job/prepare-job.ts'
import type { Progress } from './progress.ts'
import { peakRss, type Summary } from './summary.ts'

interface TalliedRun {
  readonly id: number
  readonly job: string
  readonly lanes: number
  readonly atomic: boolean
}

/** Counts what a run has done, for its progress and its summary. */
export class Tally {
  readonly #began = performance.now()
  readonly #run: TalliedRun
  #prepared: PreparedJob | null = null
  #totalBytes: number | null
  #inferredBytes = 0
  #read = 0
  #loaded = 0
  #rejected = 0
  #added = 0
  #stages: readonly StageStats[] = []
  #quality: readonly Finding[] = []
  #reasons: readonly RejectReason[] = []
  #bytes = 0
  #chunks = 0

  constructor(run: TalliedRun, totalBytes: number | null) {
    this.#run = run
    this.#totalBytes = totalBytes
  }

  inferred(bytes: number): void {
    this.#inferredBytes = bytes
  }

  prepared(job: PreparedJob): void {
    this.#prepared = job
  }

  add({ range, rows, rejected, stages }: LoadedRange): void {
    this.#read += range.records
    this.#loaded += rows
    this.#rejected += rejected
    this.#added += stages.reduce((sum, stage) => sum + stage.added, 0)
    if (stages.length > 0) {
      this.#stages = stages.map((stage, i) => addStats(this.#stages[i], stage))
    }
    this.#bytes += range.end - range.start
    this.#chunks++
  }

  rejected(reasons: readonly RejectReason[]): void {
    this.#reasons = reasons
  }

  judged(findings: readonly Finding[]): void {
    this.#quality = findings
  }

  progress(): Progress {
    const loading = this.#prepared !== null
    return {
      phase: loading ? 'loading' : 'inferring',
      rows: this.#loaded,
      bytes: loading ? this.#bytes : this.#inferredBytes,
      resumedBytes: this.#resumed().bytes,
      totalBytes: this.#totalBytes,
      chunks: this.#chunks,
      lanes: this.#run.lanes,
      rejected: this.#rejected,
      stages: this.#stages,
      quality: this.#quality,
      seconds: this.#seconds(),
    }
  }

  summary(status: Summary['status'], path: string): Summary {
    const prepared = this.#prepared
    if (prepared === null) throw new Error('a run without a prepared job has no summary')
    const seconds = this.#seconds()
    const resumed = this.#resumed()
    const rows = this.#loaded + resumed.rows
    const bytes = this.#bytes + resumed.bytes
    return {
      run: this.#run.id,
      job: this.#run.job,
      status,
      target: `${prepared.table.schema}.${prepared.table.table}`,
      mode: 'append',
      atomic: this.#run.atomic,
      rows: {
        read: this.#read,
        loaded: this.#loaded,
        rejected: this.#rejected,
        filtered: this.#read + this.#added - this.#loaded - this.#rejected,
        added: this.#added,
        unchanged: 0,
      },
      bytes: this.#bytes,
      chunks: this.#chunks,
      seconds: Math.round(seconds * 1000) / 1000,
      rowsPerSecond: Math.round(this.#loaded / seconds),
      mbPerSecond: Math.round(this.#bytes / seconds / 1e4) / 100,
      peakRssBytes: peakRss(),
      lanes: this.#run.lanes,
      stages: this.#stages.map((stage) => ({
        ...stage,
        milliseconds: Math.round(stage.milliseconds),
      })),
      quality: this.#quality,
      rejects: this.#reasons,
      resumed,
      inputs: [{ path, rows, bytes }],
      created: prepared.ddl,
      completedAt: prepared.input.completedAt?.toISOString() ?? null,
    }
  }

  #seconds(): number {
    return (performance.now() - this.#began) / 1000
  }

  #resumed(): { rows: number; bytes: number } {
    const claims: readonly Claim[] = this.#prepared?.claims ?? []
    return {
      rows: claims.reduce((sum, claim) => sum + claim.loaded, 0),
      bytes: claims.reduce((sum, claim) => sum + claim.end - claim.start, 0),
    }
  }
}
