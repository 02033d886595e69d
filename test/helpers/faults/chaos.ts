import { setTimeout as sleep } from 'node:timers/promises'
import { SHAPES } from './network-faults.ts'
import type { FaultProxy } from './proxy.ts'
import { LOADERS, type Setting } from './setting.ts'
import { type Loader, said, type Subject } from './subject.ts'

/** Loaders one after the other, each with faults of every kind at random moments; then one that nothing disturbs. */
export async function chaos(setting: Setting): Promise<readonly string[]> {
  const { subject, proxy, job } = setting
  const schedule: string[] = []
  for (let runs = subject.pick(1, 3); runs > 0; runs--) {
    const options = [...subject.options(), '--io-timeout', '1s', '--retry-for', '10s']
    const loader = subject.start(job, proxy.url, options)
    let isOver = false
    void loader.ended.then(() => (isOver = true))
    for (let faults = subject.pick(1, 5); faults > 0 && !isOver; faults--) {
      await Promise.race([sleep(subject.pick(20, 400)), loader.ended])
      const [name, act] = FAULTS[subject.pick(0, FAULTS.length - 1)]!
      schedule.push(name)
      await act(subject, proxy, loader)
    }
    proxy.refuse = false
    const run = await loader.ended
    schedule.push(`ended with ${String(run.code ?? run.signal)}`)
    proxy.calm()
    // Another run may still seem to hold the job (4), a fault last too long (75); nothing else may come of it.
    const isRight = run.signal !== null || [0, 4, 75, 143].includes(run.code ?? -1)
    if (!isRight || run.stderr.includes('it hung')) return [said(run), schedule.join(', ')]
  }
  const problems = await subject.finish(job)
  return problems.length === 0 ? [] : [...problems, schedule.join(', ')]
}

type Fault = (subject: Subject, proxy: FaultProxy, loader: Loader) => unknown

const FAULTS: readonly (readonly [string, Fault])[] = [
  ['kill -9', (_, __, loader) => loader.process.kill('SIGKILL')],
  ['SIGTERM', (_, __, loader) => loader.process.kill('SIGTERM')],
  ['cut', (_, proxy) => proxy.cut()],
  ['stall', (_, proxy) => proxy.stall()],
  ['hang', (subject, proxy) => (proxy.hang = subject.pick(1, 3))],
  ['cut soon', (subject, proxy) => (proxy.cutAtByte = proxy.passed + subject.pick(0, 100_000))],
  ['refuse', (_, proxy) => ((proxy.refuse = true), proxy.cut())],
  ['let in', (_, proxy) => (proxy.refuse = false)],
  ['slow', (subject, proxy) => (proxy.shape = SHAPES[subject.pick(0, SHAPES.length - 1)]!)],
  ['fast', (_, proxy) => (proxy.shape = {})],
  ['terminate', (subject) => toLoaders(subject, 'pg_terminate_backend')],
  ['cancel', (subject) => toLoaders(subject, 'pg_cancel_backend')],
  [
    'stop and continue',
    async (subject, _, loader) => {
      loader.process.kill('SIGSTOP')
      await sleep(subject.pick(10, 500))
      loader.process.kill('SIGCONT')
    },
  ],
]

function toLoaders(subject: Subject, what: string): Promise<unknown> {
  return subject.ask(
    `select ${what}(pid) from pg_stat_activity where ${LOADERS} order by random() limit 2`,
  )
}
