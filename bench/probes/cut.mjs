// @ts-check
import { open } from 'node:fs/promises'
import { fastEngine } from '../../dist/source/csv/fast-engine.js'
import { defaultDialect } from '../../dist/source/csv/dialect.js'

/** node bench/probes/cut.mjs FILE as-is|unquoted|quoted PASSES: how fast the cut alone is, over the file's head in memory. */

const sampleBytes = 64 << 20
const windowBytes = 8 << 20
const quoteByte = 34
const lineEndByte = 10

const [path = '', variant = 'as-is', passes = '1'] = process.argv.slice(2)
const sample = vary(await head(path))
const engine = fastEngine({ ...defaultDialect, lineEnd: 'lf' })

const expected = countByByte(sample)
const found = pass()
if (found !== expected) throw new Error(`the cut counts ${found} records, there are ${expected}`)

const begun = performance.now()
for (let i = 0; i < Number(passes); i++) pass()
const seconds = (performance.now() - begun) / 1000
const megabytesPerSecond = (sample.length * Number(passes)) / 1e6 / seconds
console.log(JSON.stringify({ megabytesPerSecond, records: expected, bytes: sample.length }))

/** One pass over the sample in windows, each beginning where the records of the last one ended. */
function pass() {
  let records = 0
  for (let start = 0; start < sample.length;) {
    const end = Math.min(start + windowBytes, sample.length)
    const scan = engine.scan(sample.subarray(start, end), end === sample.length)
    if (scan.end === 0) throw new Error(`no record ends within ${windowBytes} bytes`)
    records += scan.records
    start += scan.end
  }
  return records
}

/** @param {Buffer} bytes */
function countByByte(bytes) {
  let records = 0
  let inside = false
  for (const byte of bytes) {
    if (byte === quoteByte) inside = !inside
    else if (byte === lineEndByte && !inside) records++
  }
  return records
}

/** @param {string} path */
async function head(path) {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(sampleBytes), 0, sampleBytes, 0)
    return buffer.subarray(0, lastRecordEnd(buffer.subarray(0, bytesRead)))
  } finally {
    await file.close()
  }
}

/** @param {Buffer} bytes */
function lastRecordEnd(bytes) {
  let end = 0
  let inside = false
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === quoteByte) inside = !inside
    else if (bytes[i] === lineEndByte && !inside) end = i + 1
  }
  return end
}

/** @param {Buffer} bytes */
function vary(bytes) {
  if (variant === 'as-is') return bytes
  const plain = bytes
    .toString()
    .split('\n')
    .filter((line) => line !== '' && !line.includes('"'))
  const lines =
    variant === 'unquoted' ? plain : plain.map((line) => `"${line.replaceAll(',', '","')}"`)
  return Buffer.from(`${lines.join('\n')}\n`)
}
