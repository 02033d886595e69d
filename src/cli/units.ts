import { InvalidArgumentError } from 'commander'

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  kib: 1024,
  m: 1e6,
  mb: 1e6,
  mib: 1024 ** 2,
  g: 1e9,
  gb: 1e9,
  gib: 1024 ** 3,
}

/** Bytes of `8MiB`, `64kB`, `1048576`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const factor = FACTORS[match?.[2]?.toLowerCase() ?? '?']
  if (match === null || factor === undefined) {
    throw new InvalidArgumentError('Expected a size such as 8MiB, 500kB or 1048576.')
  }
  return Math.round(Number(match[1]) * factor)
}

/** `100` or `1%`. */
export function parseLimit(text: string): number | `${number}%` {
  const match = /^(\d+)$|^(\d+(?:\.\d+)?)%$/.exec(text.trim())
  if (match === null)
    throw new InvalidArgumentError('Expected a count such as 100 or a share such as 1%.')
  return match[2] === undefined ? Number(match[1]) : `${Number(match[2])}%`
}

const MILLISECONDS: Readonly<Record<string, number>> = {
  '': 1000,
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
}

/** Milliseconds of `5m`, `30s`, `90`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const factor = MILLISECONDS[match?.[2]?.toLowerCase() ?? '?']
  if (match === null || factor === undefined) {
    throw new InvalidArgumentError('Expected a time such as 5m, 30s or 1h.')
  }
  return Math.round(Number(match[1]) * factor)
}

export function parseCount(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError('Expected a whole number from 1 on.')
  }
  return value
}

/** `a,b,"c,d"`: names in double quotes may hold commas. */
export function parseList(text: string): string[] {
  const items = [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/gy)]
  const values = items.map((item) => item[1]?.replaceAll('""', '"') ?? item[2]?.trim() ?? '')
  if (!text.trimEnd().endsWith(',')) values.pop() // the pattern also matches the empty end
  return values
}

/** `a=int,b=numeric(12,2)`: commas in parentheses belong to the type. */
export function parseTypes(text: string): Record<string, string> {
  const types: [string, string][] = []
  for (const part of text.split(/,(?![^(]*\))/)) {
    const at = part.lastIndexOf('=')
    if (at < 1) throw new InvalidArgumentError('Expected column=type,column=type.')
    types.push([part.slice(0, at).trim(), part.slice(at + 1).trim()])
  }
  return Object.fromEntries(types) // a column may be called __proto__
}

/** `old=new,old2=new2` */
export function parseRenames(text: string): Record<string, string> {
  const names = parseList(text).map((part): [string, string] => {
    const at = part.indexOf('=')
    if (at < 1 || at === part.length - 1)
      throw new InvalidArgumentError('Expected old=new,old=new.')
    return [part.slice(0, at), part.slice(at + 1)]
  })
  return Object.fromEntries(names)
}

/** The characters people write for those a shell swallows. */
export function parseCharacters(text: string): string {
  return text.replaceAll('\\t', '\t').replaceAll('\\n', '\n').replaceAll('\\0', '\0')
}

/** `1,234,567` */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `12.3 MB` */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${String(bytes)} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  let value = bytes / 1000
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit] ?? ''}`
}

/** `4.2 s`, `3 min 05 s` */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${String(minutes)} min ${String(whole % 60).padStart(2, '0')} s`
  return `${String(Math.floor(minutes / 60))} h ${String(minutes % 60).padStart(2, '0')} min`
}
