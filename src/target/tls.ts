import { readFile, stat } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import { ConfigError, TargetError, toError } from '../core/errors.ts'
import { type Address, isLocal, type Setting } from './address.ts'
import { userFile } from './environment.ts'

/** What pg's Client is told about encryption. */
export interface TlsConfig {
  readonly ssl: false | ConnectionOptions
  readonly sslnegotiation?: 'postgres' | 'direct'
  /** SCRAM proves to the server which certificate was seen, where the server offers that. */
  readonly enableChannelBinding: boolean
}

/** How much of the server is checked, from nothing to all. */
const MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const
export type TlsMode = (typeof MODES)[number]

/**
 * The mode of an address: what sslmode says, else verify-full, and for a server on this machine disable, unless
 * certificates are named.
 *
 * Why:    allow and prefer leave it to whoever answers whether anything is encrypted: they protect against nobody, and look
 *         as if they did. What they would be used for is said more clearly by disable and require.
 * Errors: CONFIG_BAD_VALUE for other words.
 */
export function tlsMode({ setting, host }: Address): TlsMode {
  const ssl = setting('ssl')
  const named = setting('sslmode') ?? (ssl === undefined ? undefined : modeOfFlag(ssl))
  if (named === undefined) {
    // Who names certificates wants them to be used.
    const asks = setting('sslrootcert') !== undefined || setting('sslcert') !== undefined
    return isLocal(host) && !asks ? 'disable' : 'verify-full'
  }
  const mode = MODES.find((one) => one === named)
  if (mode !== undefined) return mode
  const isVague = named === 'allow' || named === 'prefer'
  const reason = isVague
    ? 'leaves it to whoever answers whether the connection is encrypted'
    : `is none of ${MODES.join(', ')}`
  throw new ConfigError('CONFIG_BAD_VALUE', `sslmode ${JSON.stringify(named)} ${reason}`, {
    hint: 'verify-full, the default, checks who answers; require only encrypts; disable does not',
  })
}

/** What other drivers write: `ssl=true`. */
function modeOfFlag(flag: string): string {
  if (flag === 'true' || flag === '1') return 'verify-full'
  return flag === 'false' || flag === '0' ? 'disable' : flag
}

/** What of the mode is less than it should be for a server elsewhere, in words for a log; null where nothing is. */
export function loweredTls(address: Address): string | null {
  const mode = tlsMode(address)
  return isLocal(address.host) || mode === 'verify-full' ? null : `sslmode=${mode}: ${RISKS[mode]}`
}

const RISKS: Readonly<Record<Exclude<TlsMode, 'verify-full'>, string>> = {
  disable: 'the connection is not encrypted: rows can be read and changed on their way',
  require: 'the certificate of the server is not checked: another one may have answered',
  'verify-ca':
    'the name of the server is not checked: one with a certificate of the same authority may have answered',
}

/**
 * What pg is told about encryption, with the meaning of libpq's parameters.
 * https://www.postgresql.org/docs/current/libpq-ssl.html
 *
 * Shape:  without sslrootcert, ~/.postgresql/root.crt is taken where it is there, else what Node.js trusts; `system` is that too.
 *         Each connection reads the files anew.
 * Why:    pg takes require and verify-ca for verify-full today, and is to take them as libpq does from its next version on.
 * Errors: CONFIG_BAD_VALUE for files that cannot be read, and for what pg cannot do.
 */
export async function tlsConfig(address: Address): Promise<TlsConfig> {
  const { setting } = address
  refuseUnsupported(address)
  const mode = tlsMode(address)
  const sslnegotiation = setting('sslnegotiation') as TlsConfig['sslnegotiation'] | undefined
  const negotiation = sslnegotiation === undefined ? {} : { sslnegotiation }
  if (mode === 'disable') return { ssl: false, enableChannelBinding: false, ...negotiation }
  const ca = await authorities(address, mode)
  const enableChannelBinding = setting('channel_binding') !== 'disable'
  const identity = await clientIdentity(address)
  return {
    ssl: { ...checksOf(mode, ca), ...(ca === null ? {} : { ca }), ...identity },
    enableChannelBinding,
    ...negotiation,
  }
}

function checksOf(mode: TlsMode, ca: Buffer | null): ConnectionOptions {
  if (mode === 'verify-full') return {}
  // As in libpq, require with an authority is verify-ca.
  if (mode === 'require' && ca === null) return { rejectUnauthorized: false }
  return { checkServerIdentity: () => undefined }
}

/** The certificates of the authorities to trust; null for those of Node.js. */
async function authorities({ setting }: Address, mode: TlsMode): Promise<Buffer | null> {
  const named = setting('sslrootcert')
  if (named !== undefined && named !== 'system') return readNamed('sslrootcert', named)
  const found = named === undefined ? await readIfThere(userFile('root.crt')) : null
  if (found !== null || mode === 'verify-full' || (mode === 'require' && named === undefined)) {
    return found
  }
  const message = `sslmode ${mode} needs an authority of its own: anybody can have a certificate of the public ones`
  throw new ConfigError('CONFIG_BAD_VALUE', message, {
    hint: 'name it with sslrootcert=/path/root.crt in --to, or PGSSLROOTCERT; or use verify-full',
  })
}

/** The certificate that this client shows, and its key. */
async function clientIdentity({ setting }: Address): Promise<ConnectionOptions> {
  const [certFile, keyFile] = [setting('sslcert'), setting('sslkey')]
  const cert = await (certFile === undefined
    ? readIfThere(userFile('postgresql.crt'))
    : readNamed('sslcert', certFile))
  if (cert === null) return {}
  const keyPath = keyFile ?? userFile('postgresql.key')
  const key = await readNamed('sslkey', keyPath)
  await refuseOpenKey(keyPath)
  const passphrase = setting('sslpassword')
  return { cert, key, ...(passphrase === undefined ? {} : { passphrase }) }
}

async function readNamed(name: Setting, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const message = `${name} cannot be read: ${toError(error).message}`
    throw new ConfigError('CONFIG_BAD_VALUE', message, {
      hint: `${name}=/path in --to, or PG${name.toUpperCase()}, names the file`,
    })
  }
}

async function readIfThere(path: string): Promise<Buffer | null> {
  return readFile(path).catch((error: unknown) => {
    const { code, message } = toError(error) as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw new ConfigError('CONFIG_BAD_VALUE', `a file of certificates cannot be read: ${message}`)
  })
}

/** As in libpq: what root owns may be read by a group. */
async function refuseOpenKey(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const { mode, uid } = await stat(path)
  if ((mode & (uid === 0 ? 0o037 : 0o077)) === 0) return
  const message = `the private key ${path} can be used by others than its owner`
  throw new ConfigError('CONFIG_BAD_VALUE', message, { hint: 'chmod 0600 it' })
}

/** Refuses what asks for protection that there would not be. */
function refuseUnsupported({ setting }: Address): void {
  const asked = UNSUPPORTED.find((name) => setting(name) !== undefined)
  const binding = setting('channel_binding') === 'require' ? 'channel_binding=require' : undefined
  const what = asked ?? binding
  if (what === undefined) return
  throw new ConfigError('CONFIG_BAD_VALUE', `${what} is not supported: pg cannot insist on it`, {
    hint: 'take it out of --to, the service file or the PG* variables; sslmode=verify-full makes sure who answers',
  })
}

const UNSUPPORTED = [
  'require_auth',
  'requirepeer',
  'sslcrl',
  'sslcrldir',
  'ssl_min_protocol_version',
  'ssl_max_protocol_version',
] as const

/** What a certificate was refused for, and what to do; null for an error that is about none. */
export function tlsError(error: Error & { code?: string }): TargetError | null {
  const { code = '', message } = error
  const refused = (text: string, hint: string): TargetError =>
    new TargetError('TARGET_REFUSED', text, { cause: error, hint })
  if (message === 'The server does not support SSL connections') {
    return refused(
      'the server does not encrypt connections, and sslmode asks for it; for a server elsewhere verify-full is the default',
      'turn ssl on at the server; or sslmode=disable in --to, or PGSSLMODE, where nobody can listen on the way',
    )
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return refused(
      `the certificate of the server is for another name: ${message}`,
      'connect by a name that it is for; or sslmode=verify-ca with sslrootcert, which compares no names',
    )
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return refused(
      `the certificate of the server is not valid at this time: ${message}`,
      'renew it at the server; or sslmode=require in --to, or PGSSLMODE, which checks nothing of it',
    )
  }
  if (!UNTRUSTED.has(code)) return null
  return refused(
    `the certificate of the server is of no authority that is trusted here: ${message}`,
    'name the certificate of its authority with sslrootcert=/path/root.crt in --to, or PGSSLROOTCERT; sslmode=require does without',
  )
}

/** https://nodejs.org/docs/latest-v20.x/api/tls.html#x509-certificate-error-codes */
const UNTRUSTED = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'INVALID_CA',
  'INVALID_PURPOSE',
])
