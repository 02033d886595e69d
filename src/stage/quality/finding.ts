/** What a rule about the rows of a job has come to. Figures of many rows, never the value of one. */
export interface Finding {
  /** Such as `nulls(fare)`. */
  readonly rule: string
  readonly expected: string
  readonly got: string
  readonly passed: boolean
}

/** What a stage finds out about the rows of a job. Facts are JSON: they are kept with the claim of their range. */
export interface Measure {
  /** Adds the facts of more rows, which come behind the others. */
  merge(facts: unknown, more: unknown): unknown
  /** Judges the facts of all rows of a job; null where there are none. */
  judge(facts: unknown, now: Date): readonly Finding[]
  /** What becomes of a run when a rule is broken. */
  readonly onFailure: 'stop' | 'warn'
}
