import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const src = fileURLToPath(new URL('../../src', import.meta.url))

/** In the order of the design: a room imports only rooms above it. */
const ROOMS = [
  'core',
  'chunk',
  'source',
  'stage',
  'copy',
  'checkpoint',
  'target',
  'embedded',
  'run',
  'migrate',
  'scale',
]

/** Where a package may be imported; a rule for a folder holds for what is in it. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'pg-connection-string': ['target/'],
  pg: ['target/', 'checkpoint/', 'migrate/', 'scale/', 'source/sql/'],
  'csv-parse': ['source/csv/'],
  'stream-chain': ['stage/', 'run/'],
  pino: ['cli/'],
  'pino-pretty': ['cli/'],
  commander: ['cli/'],
  'cli-progress': ['cli/'],
  'cli-table3': ['cli/'],
}

interface Import {
  readonly file: string
  readonly target: string
  readonly typeOnly: boolean
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort()

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8')
  const pattern = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm
  return [...text.matchAll(pattern)].map((match) => ({
    file,
    target: match[2]!.startsWith('.')
      ? relative(src, join(src, dirname(file), match[2]!))
      : match[2]!,
    typeOnly: match[1] !== undefined,
  }))
}

const imports = files.flatMap(importsOf)
const inside = imports.filter(({ target }) => target.endsWith('.ts'))
const outside = imports.filter(
  ({ target }) => !target.endsWith('.ts') && !target.startsWith('node:'),
)

const roomOf = (file: string): string => file.split('/')[0]!

function violations(found: readonly Import[], allowed: (one: Import) => boolean): string[] {
  return found.filter((one) => !allowed(one)).map(({ file, target }) => `${file} -> ${target}`)
}

function importsUpwards({ file, target }: Import): boolean {
  const from = roomOf(file)
  if (file === 'index.ts') return true
  if (from === 'cli') return roomOf(target) === 'cli' || target === 'index.ts'
  return roomOf(target) === from || ROOMS.indexOf(roomOf(target)) < ROOMS.indexOf(from)
}

function isAllowedPackage({ file, target, typeOnly }: Import): boolean {
  const name = target.split('/')[0]!
  const rooms = PACKAGES[name]
  // The type of a connection is passed through the run; only the rooms named use one.
  if (rooms === undefined || (name === 'pg' && typeOnly && file.startsWith('run/'))) return true
  return rooms.some((room) => file.startsWith(room))
}

describe('rooms', () => {
  test('a room imports only rooms above it, and the command line only the public names', () => {
    expect(inside.length).toBeGreaterThan(100)
    expect(violations(inside, importsUpwards)).toEqual([])
  })

  test('the rule finds an import of a room below', () => {
    const broken = { file: 'copy/rows.ts', target: 'target/connect.ts', typeOnly: false }
    expect(violations([broken], importsUpwards)).toHaveLength(1)
  })

  test('packages are imported only by the rooms that own them', () => {
    expect(violations(outside, isAllowedPackage)).toEqual([])
    const broken = { file: 'chunk/range.ts', target: 'pg', typeOnly: true }
    expect(violations([broken], isAllowedPackage)).toHaveLength(1)
  })

  test('process and console are used by the command line alone, but for the variables of libpq', () => {
    const uses = files.filter((file) => {
      const text = readFileSync(join(src, file), 'utf8')
      return (
        !file.startsWith('cli/') &&
        file !== 'target/environment.ts' &&
        /\bconsole\.|\bprocess\.(exit|argv|env|stdout|stderr)\b/.test(text)
      )
    })
    expect(uses).toEqual([])
  })

  test('no file imports itself through others', () => {
    const graph = new Map(files.map((file) => [file, [] as string[]]))
    for (const { file, target, typeOnly } of inside) if (!typeOnly) graph.get(file)?.push(target)
    expect(findCycle(graph)).toBeNull()
  })
})

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>()
  function visit(file: string, path: string[]): string[] | null {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return null
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...path, file])
      if (cycle !== null) return cycle
    }
    done.add(file)
    return null
  }
  for (const file of graph.keys()) {
    const cycle = visit(file, [])
    if (cycle !== null) return cycle
  }
  return null
}
