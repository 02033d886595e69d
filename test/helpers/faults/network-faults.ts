import type { Message } from './messages.ts'
import type { Shape, Verdict } from './proxy.ts'
import { endsWell, type Setting } from './setting.ts'

/** Cuts the connection before a COMMIT, or before its answer: whether it took place is not known then. */
export async function commitLost(setting: Setting): Promise<readonly string[]> {
  const { subject, proxy, round, job } = setting
  const verdict = round % 2 === 0 ? 'cut' : 'lose answer'
  const chosen = subject.pick(1, 12)
  let commits = 0
  proxy.onMessage = ({ type, text }) =>
    type === 'Q' && /\bcommit\b/i.test(text) && ++commits === chosen ? verdict : 'pass'
  return endsWell(setting, subject.start(job, proxy.url, subject.options()))
}

/** Cuts all connections at a random byte of what goes to the server. */
export async function cutAtByte(setting: Setting): Promise<readonly string[]> {
  const { subject, proxy, job } = setting
  proxy.cutAtByte = subject.pick(0, subject.size)
  return endsWell(setting, subject.start(job, proxy.url, subject.options()))
}

export const SHAPES: readonly Shape[] = [
  { latency: 40, jitter: 20 },
  { bytesPerSecond: 400_000 },
  { slice: 1 },
  { latency: 5, jitter: 5, slice: 1000 },
]

/** Those with which a load takes tens of seconds. */
const WORSE: readonly Shape[] = [{ latency: 200, jitter: 100 }, { bytesPerSecond: 100_000 }]

/** A network that is far away, narrow, or takes things to pieces. */
export async function slow(setting: Setting): Promise<readonly string[]> {
  const { subject, proxy, round, job } = setting
  const shapes = [...SHAPES, ...WORSE]
  const shape = shapes[round % shapes.length]!
  proxy.shape = shape
  const options = WORSE.includes(shape) ? ['--chunk-size', '128KiB'] : subject.options()
  return endsWell(setting, subject.start(job, proxy.url, options))
}

const ANSWERED = new Set(['Q', 'c', 'S', 'startup'])

/** The moments at which a connection goes silent, by the message, and before it or before its answer. */
const SILENCES: readonly (readonly [string, (message: Message) => boolean, Verdict])[] = [
  ['startup', ({ type }) => type === 'startup', 'stall'],
  ['startup, answered', ({ type }) => type === 'startup', 'stall answer'],
  ['COPY', ({ text }) => /\bcopy\b/.test(text), 'stall'],
  ['COPY, answered', ({ text }) => /\bcopy\b/.test(text), 'stall answer'],
  ['CopyData', ({ type }) => type === 'd', 'stall'],
  ['CopyDone', ({ type }) => type === 'c', 'stall'],
  ['CopyDone, answered', ({ type }) => type === 'c', 'stall answer'],
  ['COMMIT', ({ text }) => /\bcommit\b/.test(text), 'stall'],
  ['COMMIT, answered', ({ text }) => /\bcommit\b/.test(text), 'stall answer'],
  ['any message', () => true, 'stall'],
  ['any answer', ({ type }) => ANSWERED.has(type), 'stall answer'],
]
const IO_TIMEOUT_SECONDS = 2

/** A connection over which nothing comes any more, and no end is told: within twice the time given it is replaced. */
export async function silent(setting: Setting): Promise<readonly string[]> {
  const { subject, proxy, round, job } = setting
  const [what, matches, verdict] = SILENCES[round % SILENCES.length]!
  const chosen = subject.pick(1, what.startsWith('any') ? 60 : 4)
  let matched = 0
  let since = 0
  proxy.onMessage = (message) => {
    if (since > 0 || !matches(message) || ++matched < chosen) return 'pass'
    since = performance.now()
    return verdict
  }
  const options = [...subject.options(), '--io-timeout', `${String(IO_TIMEOUT_SECONDS)}s`]
  const problems = await endsWell(setting, subject.start(job, proxy.url, options))
  const seconds = (performance.now() - since) / 1000
  // And what the load itself may take, on a busy machine.
  if (since > 0 && seconds > 2 * IO_TIMEOUT_SECONDS + 10) {
    problems.push(`silence at ${what} held it up for ${seconds.toFixed(1)} s`)
  }
  return problems
}
