import type { ReplaySummary } from '../index.ts'
import { reasonLine } from './reasons.ts'
import { formatCount, formatSeconds } from './units.ts'

/** The summary of a replay for people. */
export function renderReplay(summary: ReplaySummary): string {
  const { replayed, refused, filtered, loaded, target, seconds, rejects } = summary
  const tried = formatCount(replayed + refused)
  const time = formatSeconds(seconds)
  const lines = [
    `replayed ${formatCount(replayed)} of ${tried} rejects: loaded ${formatCount(loaded)} rows into ${target} in ${time}`,
    ...(filtered > 0 ? [`${formatCount(filtered)} were left out by the stages`] : []),
    ...(refused > 0 ? [`${formatCount(refused)} were refused again`] : []),
    ...(rejects.length > 0 ? ['still rejected:', ...rejects.map(reasonLine)] : []),
  ]
  return lines.join('\n')
}
