import type { ByteSource } from '../../source/bytes/byte-source.ts'
import type { CsvStart } from './header.ts'

/** Bytes of a stream that types are inferred from; a later misfit widens its column. */
const STREAM_SAMPLE = 16 << 20

/** The whole records at the start of a stream, as a source; the stream keeps them. */
export async function sampleOf({ source, data, engine }: CsvStart): Promise<ByteSource> {
  const head = Buffer.allocUnsafe(STREAM_SAMPLE)
  const length = await source.peek(head, 0, head.length, data.byte)
  const { end } = engine.scan(head.subarray(0, length), length < head.length)
  return {
    ...source,
    size: data.byte + end,
    read: (into, offset, wanted, position) => {
      const from = position - data.byte
      return Promise.resolve(head.copy(into, offset, from, Math.min(from + wanted, end)))
    },
  }
}
