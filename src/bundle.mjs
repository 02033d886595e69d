// Makes a few files of the compiled modules, for those who run them: some hundred small ones take each thread a tenth of a
// second to load. With them the packages that every load needs. A load of 20,000 rows, start-up and all: 0.60 s without,
// 0.42 s with our own modules, 0.36 s with the packages too. Other packages stay outside.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const BUNDLED = ['pg', 'pg-connection-string', 'sucrase']
/** The folder of a package. */
const PACKAGE = /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+/

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
// As deep as the modules are: what they find beside themselves and in dist/ they find from there too.
const outdir = join(dist, 'bundle')

const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))

await rm(outdir, { recursive: true, force: true })
const { metafile } = await build({
  entryPoints: ['index.js', 'cli/main.js', 'run/lanes/lane-thread.js'].map((file) =>
    join(dist, file),
  ),
  outdir,
  entryNames: '[name]',
  bundle: true,
  splitting: true,
  external: [...Object.keys(dependencies).filter((name) => !BUNDLED.includes(name)), 'pg-native'],
  // pg tells by this whether it runs at Cloudflare. Node 20 has no such variable, and what pg tries then loads all of
  // undici and HTTP/2: 25 ms in each thread.
  define: { navigator: '{"userAgent":"Node.js"}' },
  // What is CommonJS in a package requires Node's own modules.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'\nconst require = makeRequire(import.meta.url)",
  },
  platform: 'node',
  mainFields: ['module', 'main'],
  target: 'node20',
  format: 'esm',
  metafile: true,
  logLevel: 'warning',
})
await writeFile(join(outdir, 'LICENSES.txt'), await licensesOf(Object.keys(metafile.inputs)))

/**
 * The licences of the packages that files are from.
 * @param {readonly string[]} files
 */
async function licensesOf(files) {
  const packages = new Set(files.flatMap((file) => PACKAGE.exec(file)?.[0] ?? []))
  const texts = [...packages].sort().map(async (folder) => {
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const license = (await readdir(folder)).find((name) => /^licen[cs]e/i.test(name))
    const text =
      license === undefined ? manifest.license : await readFile(join(folder, license), 'utf8')
    return `${manifest.name} ${manifest.version}\n\n${text.trim()}\n`
  })
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n\n`)
}
