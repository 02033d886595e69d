/** What is known of an input to recognise it in a later run. Kept as JSON with the job. */
export interface InputIdentity {
  readonly size: number
  /** Nanoseconds, as text: more digits than a double holds. */
  readonly mtime: string
  readonly ctime: string
  readonly inode: string
  /** SHA-256 of the first and of the last EDGE_BYTES bytes, in hex. */
  readonly head: string
  readonly tail: string
}

export const EDGE_BYTES = 65536

/** An opened input as bytes. */
export interface ByteSource {
  /** For messages: a path, or `stdin`. */
  readonly name: string
  /** Bytes in all; null for a stream, which tells at its end. */
  readonly size: number | null
  /** Null for a stream, which cannot be recognised. */
  readonly identity: InputIdentity | null

  /**
   * Reads up to `length` bytes at `position` into `into` at `offset`; returns how many, 0 at the end.
   *
   * Shape:  fewer than `length` only at the end. A stream only reads forward: bytes before the last one read are gone.
   * Errors: SOURCE_UNREADABLE, SOURCE_CHANGED_WHILE_READING.
   */
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number>

  /** As `read`, but a stream keeps the bytes for later. */
  peek(into: Uint8Array, offset: number, length: number, position: number): Promise<number>

  /**
   * Looks whether the input is still what was opened.
   *
   * Errors: SOURCE_CHANGED_WHILE_READING.
   */
  verify(): Promise<void>

  close(): Promise<void>
}
