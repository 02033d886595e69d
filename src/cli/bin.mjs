#!/usr/bin/env node
// Runs the built command line. A clone that was installed without install scripts (npm ci --ignore-scripts) is not
// built yet: then the compilers, development dependencies of the clone, build it first.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const main = join(root, 'dist', 'bundle', 'main.js')

if (!existsSync(main)) {
  const { spawnSync } = await import('node:child_process')
  const { createRequire } = await import('node:module')
  const { resolve } = createRequire(import.meta.url)
  for (const [compiler, ...options] of [
    ['assemblyscript/bin/asc.js', '--config', join(root, 'src/copy/kernel/asconfig.json')],
    ['assemblyscript/bin/asc.js', '--config', join(root, 'src/source/csv/kernel/asconfig.json')],
    ['typescript/bin/tsc', '-p', join(root, 'src/tsconfig.json')],
    [join(root, 'src/bundle.mjs')],
  ]) {
    const build = spawnSync(process.execPath, [resolve(compiler), ...options], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    if (build.status !== 0) process.exit(1)
  }
}
const { main: run } = await import(main)
await run(process.argv)
