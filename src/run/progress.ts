import type { Finding } from '../stage/quality/finding.ts'
import type { StageStats } from '../stage/stage-list.ts'

/** How far a run is. */
export interface Progress {
  /** 'inferring' reads the input once for its types, before 'loading'. */
  readonly phase: 'inferring' | 'loading'
  /** Rows committed by this run. */
  readonly rows: number
  /** Bytes committed by this run. */
  readonly bytes: number
  /** Bytes that were committed by earlier runs. */
  readonly resumedBytes: number
  /** Bytes of the input; null for a stream. */
  readonly totalBytes: number | null
  readonly chunks: number
  readonly lanes: number
  readonly rejected: number
  /** What each stage has done so far, in its order. */
  readonly stages: readonly StageStats[]
  /** What the rules of quality() have come to; nothing before the end of the input. */
  readonly quality: readonly Finding[]
  readonly seconds: number
}

const EVERY_MS = 250

/** Tells a listener a few times a second how far a run is, and once more at its end. */
export class ProgressTicker {
  readonly #read: () => Progress
  readonly #tell: (progress: Progress) => void
  readonly #timer: NodeJS.Timeout

  constructor(read: () => Progress, tell: (progress: Progress) => void) {
    this.#read = read
    this.#tell = tell
    this.#timer = setInterval(() => tell(read()), EVERY_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#tell(this.#read())
  }
}
