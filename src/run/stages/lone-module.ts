import { createRequire, isBuiltin } from 'node:module'
import { compileFunction } from 'node:vm'
import * as stages from '../../stage/stages.ts'

/**
 * Whether a module, as the text of a CommonJS one, has a default export and imports nothing but millrace and what Node
 * itself has: it can be run with nothing around it.
 *
 * Why: most modules of stages are such. Loading jiti takes 35 ms in each thread, so a load of 20,000 rows begins a tenth
 *      of a second earlier without it. Whatever is in doubt is left to jiti.
 */
export function isLone(code: string): boolean {
  const required = [...code.matchAll(REQUIRE)].map(([, name]) => name ?? '')
  return DEFAULT_EXPORT.test(code) && !ELSEWHERE.test(code) && required.every(isAtHand)
}

/** Runs a module of which isLone() is true; returns its default export. Errors: what the module throws. */
export function runLone(path: string, code: string): unknown {
  const exports: { default?: unknown } = {}
  const native = createRequire(path)
  const require = (name: string): unknown => (name === 'millrace' ? stages : native(name))
  compileFunction(code, ['exports', 'require'], { filename: path })(exports, require)
  return exports.default
}

function isAtHand(name: string): boolean {
  return name === 'millrace' || isBuiltin(name)
}

/** Each mention of `require`, with what is required where that is plain. */
const REQUIRE = /\brequire\b(?:\(\s*(?:'([^']*)'|"([^"]*)")\s*\))?/g

const DEFAULT_EXPORT = /\bexports\s*\.\s*default\s*=/

/** What CommonJS modules have besides, and what a script may begin with. */
const ELSEWHERE = /^#!|\b(?:module|__filename|__dirname)\b/
