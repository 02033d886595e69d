import type { Logger } from '../core/log.ts'
import { startEmbedded, stopEmbedded } from '../embedded/manage.ts'
import { openEmbedded } from '../embedded/open.ts'
import type { EmbeddedServer } from '../embedded/server.ts'
import { connect } from '../target/connect.ts'

export interface EmbeddedOptions {
  /** Absolute path of the directory that keeps the server's data, password and log. */
  readonly stateDir: string
  readonly log?: Logger | undefined
}

function bound({ stateDir, log }: EmbeddedOptions) {
  return {
    stateDir,
    connect: (url: string) => connect({ server: url, applicationName: 'millrace keeper' }),
    ...(log === undefined ? {} : { log }),
  }
}

/**
 * Opens the embedded PostgreSQL of a directory: made on first use, started when it does not run, shared when it does.
 *
 * Life:   `release()` it; the last user's release stops the server, unless `startEmbeddedServer` was called.
 * Errors: TARGET_EMBEDDED, naming the server's log.
 */
export function openEmbeddedServer(options: EmbeddedOptions): Promise<EmbeddedServer> {
  return openEmbedded(bound(options))
}

/** Starts the embedded PostgreSQL, to run until it is stopped. */
export function startEmbeddedServer(
  options: EmbeddedOptions,
): Promise<{ url: string; port: number }> {
  return startEmbedded(bound(options))
}

/** Stops the embedded PostgreSQL now, whoever uses it; false when it did not run. */
export function stopEmbeddedServer({ stateDir }: EmbeddedOptions): Promise<boolean> {
  return stopEmbedded({ stateDir })
}
