import { totalmem } from 'node:os'

const MiB = 1024 * 1024

/**
 * The settings a new cluster is made with; they land in its `postgresql.conf`, where the user may change them.
 * Nothing here gives up safety: fsync, full_page_writes, synchronous_commit and data checksums stay on.
 *
 * Source: medians on a shared 2-core machine, 1.5 million rows (87 MB) by COPY into a table with a primary key and an
 *         update of a third of them: defaults 8.9 s, these 7.6 s, a sixth less WAL; runs differ by a tenth. Made no
 *         difference and were left alone: shared_buffers of 1 GB (7.5 s), wal_compression, the built-in locale.
 */
export function clusterSettings(): Record<string, string> {
  return {
    shared_buffers: `${sharedBuffersMiB()}MB`,
    max_connections: '50',
    // The default of 1 GB is a checkpoint for every few hundred MB of rows.
    max_wal_size: '4GB',
    checkpoint_timeout: '15min',
    // No replica will follow this server, so index builds and fresh tables need no WAL of their content.
    wal_level: 'minimal',
    max_wal_senders: '0',
    maintenance_work_mem: '128MB',
    // The client reports errors; logging each refused row here would fill the disk, and with the rows' values.
    log_min_messages: 'log',
    log_error_verbosity: 'terse',
    // The same file must give the same timestamps on every machine.
    timezone: 'UTC',
    log_timezone: 'UTC',
  }
}

/** An eighth of the memory, between 32 and 256 MiB. */
function sharedBuffersMiB(): number {
  const memory = Math.min(totalmem(), process.constrainedMemory?.() || Infinity)
  return Math.max(32, Math.min(256, Math.floor(memory / 8 / MiB)))
}

/**
 * How a new cluster sorts and encodes text: UTF-8, in code point order. The built-in provider is as fast as locale C
 * (both compare bytes), needs no locale of the system, so that an index stays valid on another machine, and unlike C
 * it knows upper and lower case beyond ASCII.
 */
export const clusterLocale = [
  '--encoding=UTF8',
  '--locale=C',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
]
