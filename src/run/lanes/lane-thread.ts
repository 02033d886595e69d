import { parentPort } from 'node:worker_threads'
import { aborted } from '../abort.ts'
import type { ThreadMessage } from './lane-protocol.ts'
import { LaneWork } from './lane-work.ts'
import { makeStages } from '../stages/stage-source.ts'
import { packError } from './wire-error.ts'

/** The thread of a lane: it ends by itself when the lane's work does. */
const port = parentPort
if (port === null) throw new Error('a lane runs in a worker thread')

const work = new LaneWork({
  report: (message, transfer) => port.postMessage(message, transfer),
  ended(error) {
    port.postMessage(
      error === null ? { type: 'ended' } : { type: 'failed', error: packError(error) },
    )
    port.close()
  },
})
port.on('message', (message: ThreadMessage) => {
  if (message.type === 'open') work.open(message.input, () => makeStages(message.stages))
  else if (message.type === 'abort') void work.abort(aborted())
  else work.receive(message)
})
port.postMessage({ type: 'ready' })
