import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: { passWithNoTests: false, testTimeout: 60_000, hookTimeout: 120_000 },
})
