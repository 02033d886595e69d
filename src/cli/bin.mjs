#!/usr/bin/env node
// Runs the built command line. A clone that was installed without install scripts (npm ci --ignore-scripts) is not
// built yet: then the compiler, a development dependency of the clone, builds it first.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const main = join(root, 'dist', 'cli', 'main.js')

if (!existsSync(main)) {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const build = spawnSync(process.execPath, [compiler, '-p', join(root, 'src', 'tsconfig.json')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (build.status !== 0) process.exit(1)
}
const { main: run } = await import(main)
await run(process.argv)
