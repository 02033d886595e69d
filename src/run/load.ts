import type { Client } from 'pg'
import { Backoff } from '../core/backoff.ts'
import { warnOfAddress } from '../target/address-warnings.ts'
import { aborted } from './abort.ts'
import { type LoadOptions, plainOptions } from './options.ts'
import { requireRejectsFile } from './rejects/after-load.ts'
import type { Summary } from './summary.ts'
import { loadInput, NotBegun } from './job/load-input.ts'
import { settingsOf } from './settings.ts'

/** A server that has never answered is more likely a wrong address than one that is about to. */
const FIRST_TRIES = 2

/**
 * Loads an input into a table: all of its rows, once, however often this is called and whatever ends it.
 *
 * Shape:  resolves when every range is committed. A failed or stopped load leaves committed ranges in the table and the
 *         checkpoint; calling it again with the same options goes on from there.
 * Errors: a MillraceError; its `code` tells what is to be done. After it nothing of the load is left: no thread,
 *         connection, timer or file.
 */
export async function load(given: LoadOptions): Promise<Summary> {
  const options = plainOptions(given)
  const settings = settingsOf(options)
  await warnOfAddress(options.to, settings.log)
  if (options.rejects !== undefined) await requireRejectsFile(options.rejects)
  const backoff = new Backoff(settings.retryFor, settings.signal)
  let answered = false
  let lost: Client | null = null
  for (;;) {
    try {
      return await loadInput(options, settings, lost)
    } catch (error) {
      if (!(error instanceof NotBegun)) throw error
      const { fault } = error
      lost = error.lost ?? lost
      answered ||= fault.code !== 'TARGET_UNREACHABLE' || fault.server.sqlstate !== undefined
      if (!answered && backoff.tries === FIRST_TRIES - 1) throw fault
      const level = answered ? 'warn' : 'debug'
      settings.log[level]({ reason: fault.message }, 'the load has to begin again')
      await backoff.pause(fault).catch((last: unknown) => {
        throw settings.signal.aborted ? aborted(last) : last
      })
    }
  }
}
