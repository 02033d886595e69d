import type { Client } from 'pg'

/** What a table and its claims must come to. */
export interface Expected {
  readonly rows: number
  /** Bytes of the file. */
  readonly size: number
  /** Where its data begins, behind the header. */
  readonly data: number
  readonly checksum: string
}

export interface Campaign {
  readonly url: string
  readonly file: string
  readonly seed: number
  readonly rounds: number
  readonly client: Client
  readonly expected: Expected
  /** Of a load without a fault. */
  readonly milliseconds: number
}

export interface PlannedRun {
  readonly lanes: number
  readonly chunkSize: string
  /** Of the time of a load, 0 to 1; null for the last run. */
  readonly killAt: number | null
}

export interface RoundPlan {
  readonly runs: readonly PlannedRun[]
  readonly tableExists: boolean
}

export interface Outcome {
  /** Empty when all is as it must be. */
  readonly problems: readonly string[]
  /** Kills that left a part of the rows. */
  readonly killedMidway: number
  readonly plan: RoundPlan
  /** The command that runs this round again. */
  readonly replay: string
}

export interface LoaderRun {
  readonly code: number | null
  readonly killed: boolean
  readonly stdout: string
  readonly stderr: string
  readonly milliseconds: number
}

export function randomFrom(seed: number): () => number
export function writeRows(path: string, rows: number, seed: number): Promise<void>
export function runLoader(args: readonly string[], killAfter: number | null): Promise<LoaderRun>
export function prepareCampaign(options: {
  readonly url: string
  readonly file: string
  readonly rows: number
  readonly seed: number
  readonly rounds: number
}): Promise<Campaign>
export function planRound(seed: number, round: number, rounds: number): RoundPlan
export function runRound(
  campaign: Campaign,
  round: number,
  hooks?: { readonly beforeLastRun?: (table: string) => Promise<void> },
): Promise<Outcome>
export function problemsOfTable(
  client: Client,
  table: string,
  expected: Expected,
): Promise<string[]>
export function problemsOfServer(client: Client): Promise<string[]>
