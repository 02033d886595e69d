import type { Logger } from '../core/log.ts'
import { readAddress } from './address.ts'
import type { Server } from './connect.ts'
import { passwordFile, reasonToIgnore } from './password-file.ts'
import { loweredTls } from './tls.ts'

/**
 * Warns of what makes an address less safe than it should be: once for a run, which has several connections.
 *
 * Shape:  nothing for a pool, which is the caller's.
 * Errors: as those of readAddress(), and of a sslmode that is none.
 */
export async function warnOfAddress(server: Server, log: Logger): Promise<void> {
  if (typeof server !== 'string') return
  const address = await readAddress(server)
  const { host, password, setting } = address
  const lowered = loweredTls(address)
  if (lowered !== null) log.warn({ host }, lowered)
  const ignored =
    password === undefined ? await reasonToIgnore(passwordFile(setting('passfile'))) : null
  if (ignored !== null) log.warn({}, ignored)
}
