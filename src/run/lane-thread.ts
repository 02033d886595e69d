import { parentPort } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { type InferredColumn, inferTypes } from '../copy/infer-types.ts'
import { Queue } from '../core/queue.ts'
import type { CsvEngine } from '../source/csv/engine.ts'
import { selectEngine } from '../source/csv/select-engine.ts'
import { indexRange } from './index-range.ts'
import { LaneConnection } from './lane-connection.ts'
import { runLane } from './lane.ts'
import type { FromLane, LaneInput, LoadPlan, RangeBytes, ToLane } from './lane-protocol.ts'
import { packError } from './wire-error.ts'

/** The thread of a lane: takes messages, and ends by itself after `end` or a failure, when its connection is closed. */
const port = parentPort
if (port === null) throw new Error('a lane runs in a worker thread')

const ranges = new Queue<RangeBytes>()
let opened: { readonly input: LaneInput; readonly engine: CsvEngine } | null = null
let connection: LaneConnection | null = null
let loading = false
let onPlan: ((plan: LoadPlan | null) => void) | null = null

function report(message: FromLane, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

async function finish(error: unknown): Promise<void> {
  await connection?.close()
  report(error === null ? { type: 'ended' } : { type: 'failed', error: packError(error) })
  port?.close()
}

function infer({ range, buffer, length }: RangeBytes): void {
  const { engine, input } = required(opened)
  const chunk = indexRange(engine, input, { range, buffer, length })
  const columns = inferTypes(chunk)
  const checksum = crc32(chunk.bytes)
  report({ type: 'inferred', columns, checksum, range, buffer }, [buffer])
}

function replan(epoch: number, columns: readonly InferredColumn[]): Promise<LoadPlan | null> {
  report({ type: 'misfit', epoch, columns })
  return new Promise((resolve) => (onPlan = resolve))
}

async function receive(message: ToLane): Promise<void> {
  switch (message.type) {
    case 'open': {
      const { input } = message
      opened = { input, engine: await selectEngine(input.dialect) }
      break
    }
    case 'connect':
      connection = new LaneConnection(message.connection)
      break
    case 'infer':
      infer(message.cut)
      break
    case 'load': {
      loading = true
      const lane = { ...required(opened), ranges, report, replan }
      runLane(lane, required(connection), message.plan).then(() => finish(null), finish)
      break
    }
    case 'replan':
      onPlan?.(message.plan)
      break
    case 'range':
      ranges.push(message.cut)
      break
    case 'end':
      ranges.end()
      if (!loading) await finish(null)
      break
  }
}

function required<T>(value: T | null): T {
  if (value === null) throw new Error('a lane was told to work before it was told on what')
  return value
}

/** Messages are dealt with one after the other. */
let latest = Promise.resolve()
port.on('message', (message: ToLane) => {
  latest = latest.then(() => receive(message)).catch(finish)
})
