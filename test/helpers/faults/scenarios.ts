import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import type { Message } from './messages.ts'
import type { FaultProxy, Shape, Verdict } from './proxy.ts'
import { type Loader, said, type Subject } from './subject.ts'

/**
 * Disturbs the loads of a job, round by round, and tells what is wrong in the end; nothing when every good row is in the
 * table once, every bad row among the rejects once, and nothing left on the server.
 */
export type Scenario = (
  subject: Subject,
  proxy: FaultProxy,
  round: number,
  job: string,
) => Promise<readonly string[]>

/** The scenarios by name; a number in a name is that of the list of reliability goals in the README. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'kill at a message': killAtMessage,
  'lost commit': loseCommit,
  'server ends connections': endConnections,
  'server cancels statements': cancelStatements,
  'server short of disk': fullDisk,
  'network cut at a byte': cutAtByte,
  'network slow': slowNetwork,
  'network silent': silentNetwork,
  'two loaders': twoLoaders,
  signal: signalled,
  'locks and conflicts': conflicts,
  chaos,
}

/** A load that is disturbed is to come to its end by itself. */
async function endsWell(subject: Subject, loader: Loader, job: string): Promise<string[]> {
  const run = await loader.ended
  const problems = await subject.problems(job)
  return run.code === 0 ? problems : [`it ended with ${said(run)}`, ...problems]
}

/** Messages that the server answers. */
const ANSWERED = new Set(['Q', 'c', 'S', 'startup'])

/**
 * kill -9 at the n-th message of the loader to the server: before it, or when the server has answered it. Loads on, is killed
 * again a message later, and so on until a load comes to its end.
 */
async function killAtMessage(
  subject: Subject,
  proxy: FaultProxy,
  round: number,
  job: string,
): Promise<readonly string[]> {
  const isBefore = round % 2 === 0
  const at = 1 + (round >> 1)
  await killedAt(subject, proxy, job, at, isBefore)
  return subject.finish(job)
}

/** Whether it came to that: false when the load had ended before. */
export async function killedAt(
  subject: Subject,
  proxy: FaultProxy,
  job: string,
  at: number,
  isBefore: boolean,
  options: readonly string[] = subject.options(),
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

/** Cuts the connection before a COMMIT, or before its answer: whether it took place is not known then. */
async function loseCommit(
  subject: Subject,
  proxy: FaultProxy,
  round: number,
  job: string,
): Promise<readonly string[]> {
  const verdict = round % 2 === 0 ? 'cut' : 'lose answer'
  const chosen = subject.pick(1, 12)
  let commits = 0
  proxy.onMessage = ({ type, text }) =>
    type === 'Q' && /\bcommit\b/i.test(text) && ++commits === chosen ? verdict : 'pass'
  return endsWell(subject, subject.start(job, proxy.url, subject.options()), job)
}

const LOADERS = `application_name like 'millrace%' and datname = current_database()`

async function endConnections(
  subject: Subject,
  _: FaultProxy,
  round: number,
  job: string,
): Promise<readonly string[]> {
  const which = ['all', 'lane', 'one'][round % 3]!
  return disturbed(subject, subject.url, job, () =>
    subject.ask(
      `select pg_terminate_backend(pid) from pg_stat_activity where ${LOADERS}
         ${which === 'lane' ? `and application_name like '%lane%'` : ''}
       ${which === 'one' ? 'limit 1' : ''}`,
    ),
  )
}

async function cancelStatements(
  subject: Subject,
  _: FaultProxy,
  __: number,
  job: string,
): Promise<readonly string[]> {
  return disturbed(subject, subject.url, job, () =>
    subject.ask(`select pg_cancel_backend(pid) from pg_stat_activity where ${LOADERS}`),
  )
}

/** Does something to a load a few times, at random moments. */
async function disturbed(
  subject: Subject,
  url: string,
  job: string,
  act: () => Promise<unknown>,
): Promise<readonly string[]> {
  const loader = subject.start(job, url, subject.options())
  let isOver = false
  void loader.ended.then(() => (isOver = true))
  for (let times = subject.pick(1, 4); times > 0; times--) {
    await sleep(subject.pick(50, 500))
    if (!isOver) await act()
  }
  return endsWell(subject, loader, job)
}

/** The server says for a while that its disk is full: real rows, a real COPY, an error of the same SQLSTATE. */
async function fullDisk(
  subject: Subject,
  _: FaultProxy,
  __: number,
  job: string,
): Promise<readonly string[]> {
  return failing(subject, job, '53100', subject.pick(1, 40))
}

async function conflicts(
  subject: Subject,
  _: FaultProxy,
  round: number,
  job: string,
): Promise<readonly string[]> {
  if (round % 4 === 3) return lockedOut(subject, job)
  const sqlstate = ['40001', '40P01', '25006'][round % 3]!
  return failing(subject, job, sqlstate, subject.pick(1, 40))
}

/** Every so many rows one fails with an error that may pass, a few times. */
async function failing(
  subject: Subject,
  job: string,
  sqlstate: string,
  every: number,
): Promise<readonly string[]> {
  await subject.ask(`
    drop sequence if exists faults; create sequence faults;
    create or replace function fail() returns trigger language plpgsql as $$
    begin
      if new.id % ${String(every * 100)} = 7 and nextval('faults') % 3 = 1 and currval('faults') < 20 then
        raise exception 'a fault' using errcode = '${sqlstate}';
      end if;
      return new;
    end $$;
    create trigger fail before insert on mixed for each row execute function fail()`)
  const loader = subject.start(job, subject.url, subject.options())
  const problems = await endsWell(subject, loader, job)
  const lines = (await loader.ended).stderr.split('\n').filter((line) => line.includes('a fault'))
  return lines.length === 0 ? ['no fault was reported', ...problems] : problems
}

/** Somebody holds the table while statements may wait for a lock for 50 ms only. */
async function lockedOut(subject: Subject, job: string): Promise<readonly string[]> {
  const url = new URL(subject.url)
  url.searchParams.set('options', '-c lock_timeout=50ms')
  const loader = subject.start(job, url.href, subject.options())
  await sleep(subject.pick(200, 500))
  await subject.ask(`begin; lock table mixed in share mode; select pg_sleep(0.7); commit`)
  return endsWell(subject, loader, job)
}

async function cutAtByte(
  subject: Subject,
  proxy: FaultProxy,
  _: number,
  job: string,
): Promise<readonly string[]> {
  proxy.cutAtByte = subject.pick(0, subject.size)
  return endsWell(subject, subject.start(job, proxy.url, subject.options()), job)
}

const SHAPES: readonly Shape[] = [
  { latency: 40, jitter: 20 },
  { bytesPerSecond: 400_000 },
  { slice: 1 },
  { latency: 5, jitter: 5, slice: 1000 },
]

async function slowNetwork(
  subject: Subject,
  proxy: FaultProxy,
  round: number,
  job: string,
): Promise<readonly string[]> {
  proxy.shape = SHAPES[round % SHAPES.length]!
  return endsWell(subject, subject.start(job, proxy.url, subject.options()), job)
}

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

async function silentNetwork(
  subject: Subject,
  proxy: FaultProxy,
  round: number,
  job: string,
): Promise<readonly string[]> {
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
  const loader = subject.start(job, proxy.url, options)
  const problems = await endsWell(subject, loader, job)
  const seconds = (performance.now() - since) / 1000
  // Twice the time that was given, and as much as the load itself may take.
  if (since > 0 && seconds > 2 * IO_TIMEOUT_SECONDS + 6) {
    problems.push(`silence at ${what} held it up for ${seconds.toFixed(1)} s`)
  }
  return problems
}

async function twoLoaders(
  subject: Subject,
  _: FaultProxy,
  __: number,
  job: string,
): Promise<readonly string[]> {
  const both = [0, 1].map(() => subject.start(job, subject.url, subject.options()))
  const ends = await Promise.all(both.map((loader) => loader.ended))
  const codes = ends.map(({ code }) => code).sort()
  const problems = await subject.problems(job)
  // The later one may find the work done.
  const isRight = codes[0] === 0 && (codes[1] === 4 || codes[1] === 0)
  return isRight ? problems : [`they ended with ${ends.map(said).join(' and ')}`, ...problems]
}

async function signalled(
  subject: Subject,
  _: FaultProxy,
  round: number,
  job: string,
): Promise<readonly string[]> {
  const signal = round % 2 === 0 ? 'SIGINT' : 'SIGTERM'
  const loader = subject.start(job, subject.url, subject.options())
  await sleep(subject.pick(150, 900))
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

/** Loaders one after the other, each with faults of every kind at random moments; then one that nothing disturbs. */
async function chaos(
  subject: Subject,
  proxy: FaultProxy,
  _: number,
  job: string,
): Promise<readonly string[]> {
  const schedule: string[] = []
  for (let runs = subject.pick(1, 3); runs > 0; runs--) {
    const options = [...subject.options(), '--io-timeout', '1s', '--retry-for', '10s']
    const loader = subject.start(job, proxy.url, options)
    let isOver = false
    void loader.ended.then(() => (isOver = true))
    for (let faults = subject.pick(1, 5); faults > 0 && !isOver; faults--) {
      await Promise.race([sleep(subject.pick(20, 400)), loader.ended])
      schedule.push(await oneFault(subject, proxy, loader))
    }
    proxy.refuse = false
    const run = await loader.ended
    schedule.push(`ended with ${String(run.code ?? run.signal)}`)
    proxy.calm()
    // A server process that was left in the middle of something is not waited for by the next loader's user either.
    if (run.stderr.includes('it hung')) return [`it hung: ${said(run)}`, schedule.join(', ')]
    if (run.code === 1 || run.code === 2 || run.code === 3) {
      return [`it ended with ${said(run)}`, schedule.join(', ')]
    }
  }
  const problems = await subject.finish(job)
  return problems.length === 0 ? [] : [...problems, schedule.join(', ')]
}

const CHAOS: readonly (readonly [string, (s: Subject, p: FaultProxy, l: Loader) => unknown])[] = [
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
  [
    'terminate',
    (subject) =>
      subject.ask(
        `select pg_terminate_backend(pid) from pg_stat_activity where ${LOADERS} order by random() limit 2`,
      ),
  ],
  [
    'cancel',
    (subject) =>
      subject.ask(`select pg_cancel_backend(pid) from pg_stat_activity where ${LOADERS}`),
  ],
  [
    'stop and continue',
    async (subject, _, loader) => {
      loader.process.kill('SIGSTOP')
      await sleep(subject.pick(10, 500))
      loader.process.kill('SIGCONT')
    },
  ],
]

async function oneFault(subject: Subject, proxy: FaultProxy, loader: Loader): Promise<string> {
  const [name, act] = CHAOS[subject.pick(0, CHAOS.length - 1)]!
  await act(subject, proxy, loader)
  return name
}

/** Runs one round of a scenario, by its own seed: a failed one is run again alone. */
export async function runScenario(
  name: string,
  subject: Subject,
  proxy: FaultProxy,
  seed: number,
  round: number,
): Promise<readonly string[]> {
  const scenario = SCENARIOS[name]
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`)
  subject.seed(seed * 1_000_003 + crc32(`${name} ${String(round)}`))
  await subject.newTable()
  try {
    return await scenario(subject, proxy, round, `${name} ${String(round)}`)
  } finally {
    proxy.calm()
  }
}
