import { PAGE_BYTES, startKernel } from '../../core/wasm.ts'
import type { Scan } from './engine.ts'

/** The kernel's exports, as in kernel/scan.ts. */
interface ScanKernel {
  scan(from: number, to: number, quote: number, terminator: number, inside: number): void
  readonly records: { readonly value: number }
  readonly lines: { readonly value: number }
  readonly end: { readonly value: number }
  readonly inside: { readonly value: number }
}

/** Bytes that the kernel is given at a time: they stay in a core's first caches. */
const WINDOW_BYTES = 64 * 1024
const SLACK_BYTES = 64

let started: { readonly kernel: ScanKernel; readonly memory: Buffer } | null = null

/**
 * Finds the last record boundary and counts records and lines, by quote parity alone.
 *
 * Shape:  a record ends at `terminator` where the number of quotes so far is even: PostgreSQL's reader toggles
 *         "in quotes" at every quote character, so nothing else has to be looked at.
 * Source: CopyReadLineText, https://github.com/postgres/postgres/blob/master/src/backend/commands/copyfromparse.c
 */
export function scanRecords(bytes: Buffer, quote: number, terminator: number): Scan {
  const size = PAGE_BYTES + WINDOW_BYTES + SLACK_BYTES
  const { kernel, memory } = (started ??= startKernel<ScanKernel>(
    'source/csv/kernel/scan.wasm',
    size,
  ))
  let end = 0
  let records = 0
  let lines = 0
  let inside = 0
  for (let from = 0; from < bytes.length; from += WINDOW_BYTES) {
    const length = bytes.copy(memory, PAGE_BYTES, from, from + WINDOW_BYTES)
    kernel.scan(PAGE_BYTES, PAGE_BYTES + length, quote, terminator, inside)
    records += kernel.records.value
    lines += kernel.lines.value
    inside = kernel.inside.value
    const last = kernel.end.value
    if (last > 0) end = from + last - PAGE_BYTES
  }
  // Line ends behind the last boundary lie inside the quotes of a record that is not whole yet.
  for (let at = bytes.indexOf(terminator, end); at !== -1; at = bytes.indexOf(terminator, at + 1)) {
    lines--
  }
  return { end, records, lines }
}
