import { setTimeout as sleep } from 'node:timers/promises'
import { openPooler } from './pooler.ts'
import type { Verdict } from './proxy.ts'
import type { Setting } from './setting.ts'
import { type Ended, said } from './subject.ts'

/** kill -9 at random moments, one to three times. */
export async function killed({ subject, job }: Setting): Promise<readonly string[]> {
  for (let times = subject.pick(1, 3); times > 0; times--) {
    const before = await subject.loaded(job)
    const loader = subject.start(job, subject.url, subject.options())
    // Its threads and modules are not what is to be killed.
    await Promise.race([sleep(subject.pick(100, subject.milliseconds)), loader.ended])
    loader.process.kill('SIGKILL')
    await loader.ended
    const loaded = await subject.loaded(job)
    if (loaded > before && loaded < subject.good) subject.midway++
  }
  return subject.finish(job)
}

/** Messages that the server answers. */
const ANSWERED = new Set(['Q', 'c', 'S', 'startup'])

/**
 * kill -9 at the n-th message of the loader to the server: before it in even rounds, when the server has answered it in odd
 * ones. Round after round that is every step of every transaction, until a load has no more messages.
 */
export async function killedAtMessage(setting: Setting): Promise<readonly string[]> {
  const { subject, round, job } = setting
  const lanes = 1 + (round % 4 >= 2 ? 3 : 0)
  const options = ['--lanes', String(lanes), '--chunk-size', '64KiB']
  if (await killAt(setting, 1 + (round >> 2), round % 2 === 0, options)) subject.midway++
  return subject.finish(job)
}

/** Kills a load at a message; false when it has ended before. */
async function killAt(
  { subject, proxy, job }: Setting,
  at: number,
  isBefore: boolean,
  options: readonly string[],
): Promise<boolean> {
  let isHit = false
  const loader = subject.start(job, proxy.url, options)
  const kill = (): void => {
    isHit = true
    loader.process.kill('SIGKILL')
  }
  proxy.onLost = kill
  proxy.onMessage = async ({ number, type }): Promise<Verdict> => {
    if (number !== at) return 'pass'
    if (!isBefore && ANSWERED.has(type)) return 'lose answer'
    kill()
    await loader.ended
    return isBefore ? 'cut' : 'pass'
  }
  await loader.ended
  proxy.calm()
  return isHit
}

/** kill -9 fifty times in a row, each time when a chunk was committed: each run gets further, and the last to the end. */
export async function killedInARow(setting: Setting): Promise<readonly string[]> {
  const { subject, proxy, job } = setting
  const options = ['--lanes', '1', '--chunk-size', '4KiB']
  for (let times = 0; times < 50; times++) {
    const before = await subject.loaded(job)
    const loader = subject.start(job, proxy.url, options)
    let commits = 0
    proxy.onMessage = async ({ text }): Promise<Verdict> => {
      // The first are those of the preparation, then that of a chunk; its successor comes in one message with it.
      if (!/\bcommit\b/.test(text) || !/\bclaim\b/.test(text) || ++commits < 2) return 'pass'
      loader.process.kill('SIGKILL')
      await loader.ended
      return 'cut'
    }
    const { code } = await loader.ended
    proxy.calm()
    if (code === 0) break
    if ((await subject.loaded(job)) <= before) return [`run ${String(times)} got no further`]
  }
  return subject.finish(job)
}

/** SIGINT or SIGTERM at a random moment, in some rounds twice. */
export async function signalled({ subject, round, job }: Setting): Promise<readonly string[]> {
  const signal = round % 2 === 0 ? 'SIGINT' : 'SIGTERM'
  const loader = subject.start(job, subject.url, subject.options())
  await sleep(subject.pick(150, 150 + subject.milliseconds))
  loader.process.kill(signal)
  const began = performance.now()
  if (round % 3 === 0) {
    await sleep(subject.pick(0, 30))
    loader.process.kill(signal)
  }
  const run = await loader.ended
  const seconds = (performance.now() - began) / 1000
  const problems: string[] = []
  const expected = [0, signal === 'SIGINT' ? 130 : 143]
  // Before its handlers are in place a process ends by the signal itself.
  if (run.signal !== signal && !expected.includes(run.code ?? -1)) {
    problems.push(`after ${signal} it ended with ${said(run)}`)
  }
  if (seconds > 10) problems.push(`it went on for ${seconds.toFixed(1)} s after ${signal}`)
  return [...problems, ...(await subject.finish(job))]
}

/** Two loaders of one job at once: one is refused, or finds the work done. */
export async function twoLoaders(setting: Setting): Promise<readonly string[]> {
  return judgeTwo(setting, await runTwo(setting, setting.subject.url))
}

/** Two loaders of one job at once, whose connections may be the same ones of the server's. */
export async function twoPooled(setting: Setting): Promise<readonly string[]> {
  const pooler = await openPooler(setting.subject.url)
  // It keeps its connections to the server as long as it lives.
  const ends = await runTwo(setting, pooler.url).finally(() => pooler.close())
  return judgeTwo(setting, ends)
}

function runTwo({ subject, job }: Setting, url: string): Promise<Ended[]> {
  const both = [0, 1].map(() => subject.start(job, url, subject.options()))
  return Promise.all(both.map((loader) => loader.ended))
}

async function judgeTwo({ subject, job }: Setting, ends: Ended[]): Promise<readonly string[]> {
  const codes = ends.map(({ code }) => code).sort()
  const problems = await subject.problems(job)
  const isRight = codes[0] === 0 && (codes[1] === 4 || codes[1] === 0)
  return isRight ? problems : [`they ended with ${ends.map(said).join(' and ')}`, ...problems]
}

/** A loader that is stopped for longer than its heartbeat may take, and goes on when another one has taken its job over. */
export async function zombie(setting: Setting): Promise<readonly string[]> {
  const { subject, job } = setting
  const first = subject.start(job, subject.url, subject.options())
  await Promise.race([sleep(subject.pick(100, subject.milliseconds)), first.ended])
  first.process.kill('SIGSTOP')
  try {
    await subject.ask(
      `update millrace.run set heartbeat_at = clock_timestamp() - interval '1 minute' where status = 'running'`,
    )
    const second = subject.start(job, subject.url, subject.options())
    await Promise.race([sleep(subject.pick(0, subject.milliseconds)), second.ended])
    first.process.kill('SIGCONT')
    const [late, run] = await Promise.all([first.ended, second.ended])
    // Whichever holds the job last brings it to its end; the other is shut out, or done before.
    const codes = [late.code, run.code]
    if (codes.every((code) => code === 0 || code === 4)) return await subject.finish(job)
    return [`they ended with ${said(late)} and ${said(run)}`]
  } finally {
    first.process.kill('SIGKILL')
  }
}
