import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

/** A directory of a test file's own, removed after its tests. */
export function useTempDir(): {
  path(name: string): string
  write(name: string, content: string | Buffer): Promise<string>
} {
  let dir = ''
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  })
  afterAll(async () => {
    await rm(dir, { recursive: true, force: true })
  })
  return {
    path: (name) => join(dir, name),
    async write(name, content) {
      const path = join(dir, name)
      await writeFile(path, content)
      return path
    },
  }
}
