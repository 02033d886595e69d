import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Tests without a server run first and fast; the others share one server, each file with a database of its own. */
export default defineConfig({
  root,
  test: {
    pool: 'forks',
    maxWorkers: 3,
    projects: [
      {
        root,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'],
          testTimeout: 30_000,
        },
      },
      {
        root,
        test: {
          name: 'server',
          include: ['test/{integration,fault,e2e}/**/*.test.ts'],
          globalSetup: ['test/helpers/server.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
