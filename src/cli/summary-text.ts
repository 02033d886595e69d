import type { Finding, StageStats, Summary } from '../index.ts'
import { reasonLine } from './reasons.ts'
import { formatBytes, formatCount, formatSeconds } from './units.ts'

/** The summary for people. */
export function renderSummary(summary: Summary, embedded: boolean): string {
  const lines = [headline(summary)]
  if (summary.status === 'missing') return lines.join('\n')
  if (summary.created !== null) lines.push('', summary.created)
  if (summary.resumed.rows > 0 && summary.status !== 'already-complete') {
    const { rows, bytes } = summary.resumed
    lines.push(`${formatCount(rows)} rows (${formatBytes(bytes)}) were loaded by earlier runs`)
  }
  lines.push(...summary.stages.map(stageLine))
  lines.push(...summary.quality.filter(({ passed }) => !passed).map(brokenLine))
  if (summary.rejects.length > 0) {
    const rejected = sum(summary.rejects.map(({ rows }) => rows))
    const earlier = summary.rows.rejected === 0 ? ', by earlier runs' : ''
    lines.push(`${formatCount(rejected)} rows were rejected${earlier}:`)
    lines.push(...summary.rejects.map(reasonLine))
  }
  const blank = summary.rows.filtered - sum(summary.stages.map((stage) => stage.filtered))
  if (blank > 0) lines.push(`${formatCount(blank)} blank lines were skipped`)
  lines.push('', 'look at the rows:', `  ${lookCommand(summary.target, embedded)}`)
  return lines.join('\n')
}

function stageLine({ stage, in: taken, out, filtered, added, milliseconds }: StageStats): string {
  const changes = [
    ...(filtered > 0 ? [`${formatCount(filtered)} filtered`] : []),
    ...(added > 0 ? [`${formatCount(added)} added`] : []),
  ]
  const what = changes.length === 0 ? '' : ` (${changes.join(', ')})`
  const time = formatSeconds(milliseconds / 1000)
  return `stage ${stage}: ${formatCount(taken)} rows in, ${formatCount(out)} out${what}, ${time}`
}

function brokenLine({ rule, expected, got }: Finding): string {
  return `quality: ${rule} is ${got}, expected ${expected}`
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function headline(summary: Summary): string {
  const { rows, target, status, inputs } = summary
  if (status === 'missing')
    return `missing: there is no ${inputs[0]?.path ?? 'input'}; nothing was loaded`
  if (status === 'already-complete') {
    const when = summary.completedAt === null ? '' : ` (completed ${summary.completedAt})`
    const loaded = formatCount(summary.resumed.rows)
    return `already complete: ${target} has the ${loaded} rows of this input; nothing was loaded${when}`
  }
  const once = summary.atomic ? ', published all at once,' : ''
  const what = `loaded ${formatCount(rows.loaded)} rows (${formatBytes(summary.bytes)}) into ${target}${once}`
  const rate = `${formatCount(summary.rowsPerSecond)} rows/s, ${String(summary.mbPerSecond)} MB/s`
  const lanes = `${String(summary.lanes)} lane${summary.lanes === 1 ? '' : 's'}`
  const memory = `peak memory ${formatBytes(summary.peakRssBytes)}`
  return `${what} in ${formatSeconds(summary.seconds)}: ${rate}, ${lanes}, ${memory}`
}

function lookCommand(target: string, embedded: boolean): string {
  const sql = `select * from ${target.split('.').map(quoteIfNeeded).join('.')} limit 5`
  return embedded ? `npx millrace db sql ${shellQuote(sql)}` : `psql -c ${shellQuote(sql)} ...`
}

function quoteIfNeeded(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

function shellQuote(text: string): string {
  return text.includes('"') ? `'${text.replaceAll("'", `'\\''`)}'` : `"${text}"`
}
