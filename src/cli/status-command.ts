import type { Command } from 'commander'
import { type JobStatus, status } from '../index.ts'
import { option } from './dialect-options.ts'
import { makeLogger } from './log.ts'
import { printResult } from './output.ts'
import { renderTable } from './table.ts'
import { openTarget } from './target.ts'
import { formatBytes, formatCount } from './units.ts'

interface StatusFlags {
  readonly to?: string
  readonly stateSchema?: string
  readonly json?: true
}

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('show jobs, their last runs and what remains')
    .argument('[job]', 'one job; all if left out')
    .addOption(option('--to <url>', 'postgres://...; the embedded PostgreSQL if left out'))
    .addOption(option('--state-schema <name>', 'schema of the checkpoint (default: millrace)'))
    .addOption(option('--json', 'print one JSON array'))
    .action(async (job: string | undefined, flags: StatusFlags) => {
      const log = await makeLogger('warn')
      const target = await openTarget(flags.to, log)
      try {
        const { stateSchema } = flags
        const jobs = await status({ to: target.url, job, stateSchema, log })
        printResult(flags.json === true ? JSON.stringify(jobs) : await render(jobs))
      } finally {
        await target.close()
      }
    })
}

async function render(jobs: readonly JobStatus[]): Promise<string> {
  if (jobs.length === 0) return 'no jobs'
  const columns = [
    'job',
    'last run',
    'loaded',
    'rejected',
    'replayed',
    'of',
    'remains',
    'runs',
    'error',
  ]
  return renderTable(
    columns,
    jobs.map((job) => [
      job.job,
      job.status,
      `${formatCount(job.rows)} rows${job.staging === null ? '' : `, staged in ${job.staging}`}`,
      formatCount(job.rejects),
      formatCount(job.replayed),
      job.bytesTotal === null ? 'a stream' : formatBytes(job.bytesTotal),
      remains(job),
      String(job.runs),
      job.error,
    ]),
  )
}

function remains(job: JobStatus): string {
  if (job.status === 'complete' || job.status === 'already-complete') return 'nothing'
  if (job.bytesTotal === null) return 'unknown'
  return formatBytes(Math.max(0, job.bytesTotal - job.bytesLoaded))
}
