import { setTimeout as sleep } from 'node:timers/promises'
import type { TestDatabase } from './database.ts'
import { claimedRows, type EndedLoad, noBackendLeft, type RunningLoad } from './loads.ts'

/**
 * Kills a loader (SIGKILL) as soon as its job has committed more rows than those given, wherever that is in its time: a kill
 * after some milliseconds hits a fast machine behind the end and a slow one before the beginning.
 */
export async function killBehind(
  db: TestDatabase,
  job: string,
  rows: number,
  load: RunningLoad,
): Promise<EndedLoad> {
  let hasEnded = false
  void load.ended.finally(() => (hasEnded = true))
  // The job's tables may not be there yet.
  while (!hasEnded && (await claimedRows(db, job).catch(() => 0)) <= rows) await sleep(2)
  load.process.kill('SIGKILL')
  const run = await load.ended
  await noBackendLeft(db)
  return run
}
