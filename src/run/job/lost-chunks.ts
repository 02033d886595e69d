import type { Client } from 'pg'
import { claimedBytes } from '../../checkpoint/claims.ts'
import { TargetError } from '../../core/errors.ts'

/** Chunks that were committed are gone. */
export class LostChunks extends TargetError {
  constructor() {
    super(
      'TARGET_TEMPORARY',
      'the server has crashed, and lost chunks that were committed and not on its disk yet',
      { retryable: true, hint: 'run the same command again: it loads them' },
    )
  }
}

/**
 * Requires that all bytes of an input are claimed that were committed by this run and those before.
 *
 * Why:    commits of chunks do not wait for the disk. A run that goes on behind a crash of the server knows more of them
 *         than there are: without this it would take the input for complete.
 * Errors: LostChunks.
 */
export async function requireClaims(
  client: Client,
  stateSchema: string,
  input: number,
  bytes: number,
): Promise<void> {
  if ((await claimedBytes(client, stateSchema, input)) < bytes) throw new LostChunks()
}
