import { readFacts } from '../../checkpoint/claims.ts'
import { QualityError } from '../../core/errors.ts'
import type { Finding } from '../../stage/quality/finding.ts'
import { StageList } from '../../stage/stage-list.ts'
import { columnsOf } from './field-types.ts'
import type { JobKeeper } from './job-keeper.ts'
import type { FieldInfo } from '../lanes/lane-protocol.ts'
import type { JobRequest } from './prepare-job.ts'

/** What is judged. */
export interface Judged {
  readonly input: number
  /** What the stages are given. */
  readonly fields: readonly FieldInfo[]
  /** Told of what every rule has come to, whatever becomes of the run. */
  readonly onFindings: (findings: readonly Finding[]) => void
}

/**
 * Judges what the stages have found out about all rows of a job, by the facts of its claims.
 *
 * Errors: QUALITY_FAILED when a rule is broken that is to stop the run; of the others it warns.
 */
export async function judgeQuality(
  { stages, settings, start }: JobRequest,
  keeper: JobKeeper,
  { input, fields, onFindings }: Judged,
): Promise<void> {
  if (stages.stages.every(({ measure }) => measure === undefined)) return
  const list = new StageList(stages.stages, columnsOf(fields))
  const claims = await keeper.use((client) => readFacts(client, settings.stateSchema, input))
  const facts = claims.reduce((sum, more) => list.mergeFacts(sum, more), [])
  const now = new Date()
  const judged = stages.stages.flatMap(({ measure }, i) =>
    measure === undefined
      ? []
      : measure.judge(facts[i] ?? null, now).map((finding) => ({ finding, of: measure })),
  )
  onFindings(judged.map(({ finding }) => finding))
  const broken = judged.filter(({ finding }) => !finding.passed)
  for (const { finding, of } of broken) {
    if (of.onFailure === 'warn') settings.log.warn(finding, `quality: ${told(finding)}`)
  }
  const stopping = broken.filter(({ of }) => of.onFailure === 'stop').map(({ finding }) => finding)
  if (stopping.length > 0) {
    throw brokenRules(stopping, start.source.name, settings.atomic ? 'staged' : 'loaded')
  }
}

/** The error for broken rules that are to stop a run. */
export function brokenRules(
  broken: readonly Finding[],
  source: string,
  rows: 'loaded' | 'staged',
): QualityError {
  const rules = `${String(broken.length)} quality rule${broken.length === 1 ? ' is' : 's are'} broken`
  return new QualityError(`${rules}: ${broken.map(told).join('; ')}`, broken, {
    where: { source },
    hint: `${FATE[rows]}. The same command judges again without loading, also with other bounds; mend the file and begin anew with --restart`,
  })
}

const FATE = {
  loaded: 'the rows are in the table: nothing is taken back',
  staged: 'nothing was published, the rows are staged',
} as const

function told({ rule, expected, got }: Finding): string {
  return `${rule} is ${got}, expected ${expected}`
}
