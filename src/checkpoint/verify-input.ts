import { crc32 } from 'node:zlib'
import { CheckpointError } from '../core/errors.ts'
import { type ByteSource, EDGE_BYTES, type InputIdentity } from '../source/bytes/byte-source.ts'
import { sha256 } from '../source/bytes/file.ts'
import type { Claim } from './claims.ts'
import type { StoredIdentity } from './job-state.ts'
import { claimChanged, inputChanged } from './refusals.ts'

const BUFFER_BYTES = 1 << 20

/** What may be different about an input that is gone on with. */
export interface InputCheck {
  readonly grown: boolean
  readonly touched: boolean
}

/**
 * Checks that a file is the one its job was begun with.
 *
 * Shape:  size, modification time and inode equal: nothing is read but its edges. Otherwise the committed ranges are
 *         read again and compared with their checksums, and a change of what is not loaded yet is only ruled out by
 *         the checksum of the whole file, where there is one.
 * Errors: CHECKPOINT_INPUT_CHANGED with the reason; CHECKPOINT_INPUT_GROWN unless that is allowed.
 */
export async function verifyInput(
  source: ByteSource,
  now: InputIdentity,
  before: StoredIdentity,
  claims: readonly Claim[],
  growth: 'refuse' | 'allow',
): Promise<InputCheck> {
  const size = before.size ?? 0
  if (now.size < size) {
    throw inputChanged(source.name, `it had ${String(size)} bytes and has ${String(now.size)}`)
  }
  if (now.size > size) {
    await verifyClaims(source, claims)
    await requireWholeEnd(source, before, claims)
    await requireWhole(source, before)
    if (growth === 'refuse') throw grown(source, size, now.size)
    return { grown: true, touched: true }
  }
  if (now.head !== before.head) throw inputChanged(source.name, 'its first bytes are others')
  if (now.tail !== before.tail) throw inputChanged(source.name, 'its last bytes are others')
  const same = now.mtime === before.mtime && now.ctime === before.ctime
  if (same && now.inode === before.inode) return { grown: false, touched: false }

  await verifyClaims(source, claims)
  await requireWhole(source, before)
  const loaded = claims.reduce((sum, claim) => sum + claim.end - claim.start, 0)
  // Renaming and chmod also change ctime; but so does writing with the old mtime set again, and nothing tells them apart.
  if (before.whole === undefined && loaded < size - EDGE_BYTES) {
    throw inputChanged(
      source.name,
      'it was written to; what is loaded is unchanged, for the rest there is no checksum to tell',
    )
  }
  return { grown: false, touched: true }
}

/**
 * Reads committed ranges again and compares their checksums.
 *
 * Errors: CHECKPOINT_INPUT_CHANGED naming the first range that differs.
 */
export async function verifyClaims(source: ByteSource, claims: readonly Claim[]): Promise<void> {
  for (const claim of claims) {
    const found = await checksum(source, claim.start, claim.end)
    if (found === claim.checksum) continue
    throw claimChanged(source.name, claim)
  }
}

/** CRC-32 of bytes [from, to); null when the source ends before. */
async function checksum(source: ByteSource, from: number, to: number): Promise<number | null> {
  const buffer = Buffer.allocUnsafe(Math.min(BUFFER_BYTES, Math.max(1, to - from)))
  let value = 0
  for (let at = from; at < to;) {
    const read = await source.read(buffer, 0, Math.min(buffer.length, to - at), at)
    if (read === 0) return null
    value = crc32(buffer.subarray(0, read), value)
    at += read
  }
  return value
}

/** Compares the bytes that were there when the job began, where all of them were read then. */
async function requireWhole(source: ByteSource, { size, whole }: StoredIdentity): Promise<void> {
  if (whole === undefined) return
  if ((await checksum(source, whole.from, size ?? 0)) === whole.crc32) return
  throw inputChanged(source.name, 'bytes that are not loaded yet are others')
}

/** A grown file goes on behind its old end only if a record ended there. */
async function requireWholeEnd(
  source: ByteSource,
  before: StoredIdentity,
  claims: readonly Claim[],
): Promise<void> {
  const size = before.size ?? 0
  const from = Math.max(0, size - EDGE_BYTES)
  const tail = Buffer.alloc(size - from)
  await source.read(tail, 0, tail.length, from)
  if (sha256(tail) !== before.tail) {
    throw inputChanged(source.name, 'it has grown, and what were its last bytes are others')
  }
  const last = tail.at(-1)
  const loaded = claims.some((claim) => claim.end === size)
  if (loaded && last !== 10 && last !== 13) {
    throw inputChanged(source.name, 'it has grown, and its last record had no line end')
  }
}

function grown(source: ByteSource, before: number, now: number): CheckpointError {
  const message = `${source.name} has grown from ${String(before)} to ${String(now)} bytes; its old part is unchanged`
  return new CheckpointError('CHECKPOINT_INPUT_GROWN', message, {
    where: { source: source.name },
    hint: '--appended loads what was added',
  })
}
