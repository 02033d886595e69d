import { BlockList, isIP } from 'node:net'
import { type ConnectionOptions, parse } from 'pg-connection-string'
import { ConfigError, toError } from '../core/errors.ts'
import { libpqVariable } from './environment.ts'
import { readService } from './service-file.ts'

/** Where a server is, and how it is to be spoken to: what the URL says goes before its service, that before the PG* variables. */
export interface Address {
  /** As pg takes it. What is left out here pg finds in PGUSER and the like. */
  readonly parts: Readonly<Record<string, unknown>>
  /** A name, an IP address, or the directory of a Unix socket. */
  readonly host: string
  readonly password: string | undefined
  /** The value of one of the parameters below, if it is given anywhere. */
  setting(name: Setting): string | undefined
}

/** Parameters of libpq that are not left to pg, with the variables that stand for them. */
const SETTINGS = {
  service: 'PGSERVICE',
  passfile: undefined, // that PGPASSFILE names one is the business of passwordFile()
  ssl: undefined,
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslpassword: undefined,
  sslnegotiation: 'PGSSLNEGOTIATION',
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  channel_binding: 'PGCHANNELBINDING',
  require_auth: 'PGREQUIREAUTH',
  requirepeer: 'PGREQUIREPEER',
} as const

export type Setting = keyof typeof SETTINGS

/**
 * Reads the address of a server.
 *
 * Errors: CONFIG_BAD_VALUE for what is no URL of PostgreSQL, and for a service that is not there. None of them shows the
 *         URL, which may hold a password.
 */
export async function readAddress(url: string): Promise<Address> {
  const { rest, given } = takeSettings(url)
  const inUrl = parseUrl(rest)
  const named = given.get('service') ?? libpqVariable('PGSERVICE')
  const service = named === undefined ? new Map<string, string>() : await readService(named)
  const { password, ...parts } = { ...plainParts(service), ...withoutEmpty(inUrl) }
  return {
    parts,
    host: String(parts['host'] ?? libpqVariable('PGHOST') ?? 'localhost'),
    password: password === undefined ? libpqVariable('PGPASSWORD') : String(password),
    setting(name) {
      const variable = SETTINGS[name]
      return given.get(name) ?? service.get(name) ?? (variable && libpqVariable(variable))
    },
  }
}

/** Whether what is said to a host stays on this machine. */
export function isLocal(host: string): boolean {
  if (host.startsWith('/') || host === 'localhost') return true
  const version = isIP(host)
  return version !== 0 && LOOPBACK.check(host, version === 4 ? 'ipv4' : 'ipv6')
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** What a section of a service file says beside the settings, by pg's names. */
function plainParts(service: ReadonlyMap<string, string>): Record<string, unknown> {
  const names = ['host', 'port', 'user', 'password', 'options', 'dbname']
  const there = names.filter((name) => service.has(name))
  return Object.fromEntries(
    there.map((name) => [name === 'dbname' ? 'database' : name, service.get(name)]),
  )
}

/** Takes the settings out of a URL: pg reads some of them too, and differently. */
function takeSettings(url: string): { rest: string; given: ReadonlyMap<string, string> } {
  if (url.startsWith('/')) return { rest: url, given: new Map() }
  if (!/^(postgres|postgresql|socket):/.test(url)) throw badUrl('it does not begin so')
  const [before = '', query = ''] = url.split(/\?(.*)/s)
  // Where a password with a / in it was not encoded, the rest of it would be taken for the name of a database.
  if (/#|^\w+:\/\/[^/]*\/.*@/s.test(before))
    throw badUrl('there is a # in it, or an @ behind its host')
  const parameters = new URLSearchParams(query)
  const given = new Map<string, string>()
  for (const [name, value] of [...parameters]) {
    if (!(name in SETTINGS) && name !== 'uselibpqcompat') continue
    if (value !== '') given.set(name, value)
    parameters.delete(name)
  }
  const left = parameters.toString()
  return { rest: left === '' ? before : `${before}?${left}`, given }
}

function parseUrl(url: string): ConnectionOptions {
  try {
    return parse(url)
  } catch (error) {
    throw badUrl(toError(error).message)
  }
}

function withoutEmpty(parsed: ConnectionOptions): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parsed).filter(([, value]) => value != null && value !== ''),
  )
}

/** Without the error of the parser as its cause: that one may hold the URL, and so the password. */
export function badUrl(reason: string): ConfigError {
  const message = `the address of the server is no postgres:// URL: ${reason}`
  return new ConfigError('CONFIG_BAD_VALUE', message, {
    hint: 'as in --to postgres://user@host:5432/database; a password in it is percent-encoded',
  })
}
