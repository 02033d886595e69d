import type { Options, SingleBar } from 'cli-progress'
import type { Logger } from 'pino'
import type { Progress } from '../index.ts'
import { formatBytes, formatCount, formatSeconds } from './units.ts'

/** Shows how far a load is. */
export interface ProgressView {
  update(progress: Progress): void
  stop(): void
}

const LOG_EVERY_MS = 5000

/** A bar on a terminal, a log line every few seconds elsewhere. */
export async function progressView(mode: 'auto' | 'never', log: Logger): Promise<ProgressView> {
  if (mode === 'never') return { update: () => undefined, stop: () => undefined }
  return process.stderr.isTTY ? barView() : logView(log)
}

function logView(log: Logger): ProgressView {
  let last = performance.now()
  return {
    update(progress) {
      if (performance.now() - last < LOG_EVERY_MS) return
      last = performance.now()
      const { phase, rows, bytes, resumedBytes, totalBytes, chunks, rejected } = progress
      const rates = ratesOf(progress)
      log.info(
        { phase, rows, bytes, resumedBytes, totalBytes, chunks, rejected, ...rates },
        'progress',
      )
    },
    stop: () => undefined,
  }
}

async function barView(): Promise<ProgressView> {
  const { SingleBar: Bar } = await import('cli-progress')
  let bar: SingleBar | null = null
  return {
    update(progress) {
      const total = progress.totalBytes
      const done = progress.bytes + (progress.phase === 'loading' ? progress.resumedBytes : 0)
      if (bar === null) {
        bar = new Bar(barOptions(total !== null))
        bar.start(total ?? Math.max(done, 1), done, { text: textOf(progress) })
      }
      if (total === null) bar.setTotal(Math.max(done, 1))
      bar.update(done, { text: textOf(progress) })
    },
    stop: () => bar?.stop(),
  }
}

function barOptions(knownTotal: boolean): Options {
  return {
    format: knownTotal ? '{bar} {percentage}% {text}' : '{text}',
    barsize: 20,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    fps: 8,
    stream: process.stderr,
    linewrap: false,
  }
}

function textOf(progress: Progress): string {
  const { rowsPerSecond, mbPerSecond } = ratesOf(progress)
  if (progress.phase === 'inferring') return `finding out types · ${formatBytes(progress.bytes)}`
  const left = remainingSeconds(progress)
  const parts = [
    `${formatCount(progress.rows)} rows`,
    formatBytes(progress.bytes),
    `${formatCount(rowsPerSecond)} rows/s`,
    `${String(mbPerSecond)} MB/s`,
    `${String(progress.lanes)} lane${progress.lanes === 1 ? '' : 's'}`,
    `${formatCount(progress.rejected)} rejected`,
  ]
  if (left !== null) parts.push(`ETA ${formatSeconds(left)}`)
  return parts.join(' · ')
}

function remainingSeconds({ bytes, resumedBytes, totalBytes, seconds }: Progress): number | null {
  if (totalBytes === null || bytes === 0) return null
  return ((totalBytes - resumedBytes - bytes) * seconds) / bytes
}

function ratesOf({ rows, bytes, seconds }: Progress): {
  rowsPerSecond: number
  mbPerSecond: number
} {
  if (seconds === 0) return { rowsPerSecond: 0, mbPerSecond: 0 }
  return {
    rowsPerSecond: Math.round(rows / seconds),
    mbPerSecond: Math.round(bytes / seconds / 1e5) / 10,
  }
}
