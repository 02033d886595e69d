import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { End } from './own-server.ts'
import { endsWell, LOADERS, type Setting } from './setting.ts'

const run = promisify(execFile)

export function connectionsEnded(setting: Setting): Promise<readonly string[]> {
  const which = ['', `and application_name like '%lane%'`, 'limit 1'][setting.round % 3]!
  return disturbed(
    setting,
    `select pg_terminate_backend(pid) from pg_stat_activity where ${LOADERS} ${which}`,
  )
}

export function statementsCancelled(setting: Setting): Promise<readonly string[]> {
  return disturbed(setting, `select pg_cancel_backend(pid) from pg_stat_activity where ${LOADERS}`)
}

/** Does something to a load a few times, at random moments. */
async function disturbed(setting: Setting, sql: string): Promise<readonly string[]> {
  const { subject, job } = setting
  const loader = subject.start(job, subject.url, subject.options())
  let isOver = false
  void loader.ended.then(() => (isOver = true))
  for (let times = subject.pick(1, 4); times > 0; times--) {
    await sleep(subject.pick(50, 500))
    if (!isOver) await subject.ask(sql)
  }
  return endsWell(setting, loader)
}

/** The server ends in the middle of a load, and is started again a while later, at another address. */
export async function restarted(setting: Setting): Promise<readonly string[]> {
  const { subject, proxy, server, round, job } = setting
  if (server === null) return ['there is no server to end']
  const signal = (['SIGINT', 'SIGQUIT', 'SIGKILL'] as const)[round % 3] as End
  const loader = subject.start(job, proxy.url, subject.options())
  await Promise.race([sleep(subject.pick(100, subject.milliseconds)), loader.ended])
  await server.end(signal)
  await sleep(subject.pick(0, 1000))
  await server.start()
  subject.url = proxy.to = subject.at(server.url)
  return endsWell(setting, loader)
}

/** The server says for a while that its disk is full. */
export function shortOfDisk(setting: Setting): Promise<readonly string[]> {
  return failing(setting, '53100')
}

/** The table is on a disk of a few megabytes, full but for one; the rest is freed when the load is held up. */
export async function fullDisk(setting: Setting): Promise<readonly string[]> {
  const { subject, job } = setting
  const disk = `/tmp/millrace-disk-${String(process.pid)}`
  await mkdir(disk, { recursive: true })
  await run('mount', ['-t', 'tmpfs', '-o', 'size=12m,mode=0777', 'tmpfs', disk])
  try {
    await subject.ask('drop tablespace if exists small')
    await mkdir(`${disk}/space`)
    const owner = await subject.ask<{ user: string }>(
      `select pg_read_file('/proc/self/status') as user`,
    )
    const uid = /^Uid:\s+(\d+)/m.exec(owner[0]!.user)![1]!
    await run('chown', [uid, `${disk}/space`])
    await subject.ask(`create tablespace small location '${disk}/space'`)
    await subject.ask('alter table mixed set tablespace small')
    const ballast = `${disk}/ballast`
    await writeFile(ballast, Buffer.alloc(12_300_000))
    const loader = subject.start(job, subject.url, subject.options())
    await Promise.race([sleep(2000 + subject.milliseconds), loader.ended])
    await rm(ballast)
    const problems = await endsWell(setting, loader)
    const { stderr } = await loader.ended
    if (!/No space left|could not extend|disk full/i.test(stderr))
      problems.push('the disk was not full')
    return problems
  } finally {
    await subject.newTable()
    await subject.ask('checkpoint')
    await subject.ask('drop tablespace if exists small')
    await run('umount', ['-l', disk])
    await rm(disk, { recursive: true, force: true })
  }
}

/** Transactions that the server gives up for the sake of others; every fourth round a table that somebody holds. */
export function conflicts(setting: Setting): Promise<readonly string[]> {
  if (setting.round % 4 === 3) return lockedOut(setting)
  return failing(setting, ['40001', '40P01', '25006'][setting.round % 4]!)
}

/** Every so many rows one fails with an error that may pass, a few times. */
async function failing(setting: Setting, sqlstate: string): Promise<readonly string[]> {
  const { subject, job } = setting
  await subject.ask(`
    drop sequence if exists faults; create sequence faults;
    create or replace function fail() returns trigger language plpgsql as $$
    begin
      if new.id % ${String(subject.pick(1, 40) * 100)} = 7 and nextval('faults') % 3 = 1 and currval('faults') < 20 then
        raise exception 'a fault' using errcode = '${sqlstate}';
      end if;
      return new;
    end $$;
    create trigger fail before insert on mixed for each row execute function fail()`)
  const loader = subject.start(job, subject.url, subject.options())
  const problems = await endsWell(setting, loader)
  const { stderr } = await loader.ended
  return stderr.includes('a fault') ? problems : ['no fault was reported', ...problems]
}

/** Somebody holds the table while statements may wait for a lock for 50 ms only. */
async function lockedOut(setting: Setting): Promise<readonly string[]> {
  const { subject, job } = setting
  const url = new URL(subject.url)
  url.searchParams.set('options', '-c lock_timeout=50ms')
  const loader = subject.start(job, url.href, subject.options())
  await sleep(subject.pick(200, 500))
  await subject.ask(`begin; lock table mixed in share mode; select pg_sleep(0.7); commit`)
  return endsWell(setting, loader)
}
