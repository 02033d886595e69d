import { crc32 } from 'node:zlib'
import type { Claim } from '../../checkpoint/claims.ts'
import { claimChanged } from '../../checkpoint/refusals.ts'
import type { ByteSource } from '../../source/bytes/byte-source.ts'
import { type Buffers, type Cut, cut, type CutLimits } from '../../source/csv/cut.ts'
import type { CsvEngine } from '../../source/csv/engine.ts'

/**
 * Cuts what is loaded already, claim by claim: its keys have to be known before what comes behind it is loaded.
 *
 * Errors: CHECKPOINT_INPUT_CHANGED when a claim's bytes are not those that were loaded.
 */
export async function* recalledCuts(
  source: ByteSource,
  engine: CsvEngine,
  claims: readonly Claim[],
  limits: CutLimits,
  buffers: Buffers,
): AsyncGenerator<Cut> {
  for (const claim of claims) {
    const from = { byte: claim.start, record: claim.firstRecord, line: claim.firstLine }
    let end = claim.start
    let checksum = 0
    for await (const piece of cut(source, engine, from, claim.end, limits, buffers)) {
      end = piece.range.end
      checksum = crc32(Buffer.from(piece.buffer, 0, piece.length), checksum)
      if (end === claim.end && checksum !== claim.checksum) throw claimChanged(source.name, claim)
      yield piece
    }
    if (end < claim.end) throw claimChanged(source.name, claim)
  }
}
