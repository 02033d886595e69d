import { parentPort, workerData } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { type InferredColumn, inferTypes } from '../copy/infer-types.ts'
import { Queue } from '../core/queue.ts'
import { selectEngine } from '../source/csv/select-engine.ts'
import { indexRange } from './index-range.ts'
import { runLane } from './lane.ts'
import type { FromLane, LaneInput, LoadPlan, RangeBytes, ToLane } from './lane-protocol.ts'
import { packError } from './wire-error.ts'

/** The thread of a lane: takes messages, and ends by itself after `end` or a failure, when its connection is closed. */
const port = parentPort
if (port === null) throw new Error('a lane runs in a worker thread')

const input = workerData as LaneInput
const engine = await selectEngine(input.dialect)
const ranges = new Queue<RangeBytes>()

function report(message: FromLane, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

function finish(error: unknown): void {
  report(error === null ? { type: 'ended' } : { type: 'failed', error: packError(error) })
  port?.close()
}

function infer({ range, buffer, length }: RangeBytes): void {
  const chunk = indexRange(engine, input, { range, buffer, length })
  const columns = inferTypes(chunk)
  const checksum = crc32(chunk.bytes)
  report({ type: 'inferred', columns, checksum, range, buffer }, [buffer])
}

let loading = false
let onPlan: ((plan: LoadPlan | null) => void) | null = null

function replan(epoch: number, columns: readonly InferredColumn[]): Promise<LoadPlan | null> {
  report({ type: 'misfit', epoch, columns })
  return new Promise((resolve) => (onPlan = resolve))
}

port.on('message', (message: ToLane) => {
  try {
    switch (message.type) {
      case 'infer':
        infer(message.cut)
        break
      case 'load':
        loading = true
        runLane({ engine, input, ranges, report, replan }, message.plan).then(
          () => finish(null),
          finish,
        )
        break
      case 'replan':
        onPlan?.(message.plan)
        break
      case 'range':
        ranges.push(message.cut)
        break
      case 'end':
        ranges.end()
        if (!loading) finish(null)
        break
    }
  } catch (error) {
    finish(error)
  }
})
