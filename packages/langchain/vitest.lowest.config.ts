import { readFileSync } from 'node:fs'
import { mergeConfig } from 'vitest/config'
import base from '../../vitest.config.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../../node_modules/core-lowest/package.json', import.meta.url), 'utf8'),
)

// The tests that need no agent, on the oldest core that is supported.
export default mergeConfig(base, {
  resolve: { alias: [{ find: /^@langchain\/core\/(.*)$/, replacement: 'core-lowest/$1' }] },
  test: {
    include: ['contract', 'defects', 'better', 'tools', 'core-version'].map((name) => `test/${name}.test.ts`),
    env: { CORE_VERSION: version },
  },
})
